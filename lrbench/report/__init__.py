"""From the tables of a results folder to figures, a page and advice; no torch.

A figure more is a function and a line of `draw`, a constraint of `lrbench recommend` an entry of `CONSTRAINTS`, a
table of the page a function of `sections`.
"""
