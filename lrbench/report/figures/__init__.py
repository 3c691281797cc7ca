"""Pictures of a results folder, by matplotlib.

`table` lists the figures, each a file of its name that says what is shown and draws it; `figure` is what an entry is,
`draw` goes over the table and saves, `canvas` and `accuracy_cost` are what figures share. A figure more is such a file
and an entry of `FIGURES`; `canvas` may be imported from the gate.
"""
