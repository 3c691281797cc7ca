"""Intervals, ratios and tests, by numpy and scipy alone; nothing else of lrbench.

`paired` compares two models by rounds timed side by side, `components` says how far processes and occasions move them,
`luck` how far one training lies from another, `posterior` how probable it is that a limit is kept, `shrinkage` how
probable for each of many points, `fronts` which of them no other beats. Everything here may be imported from anywhere.
"""
