"""Pictures of a results folder by matplotlib.

`draw` says which and saves them; `canvas` is what they share.
"""
