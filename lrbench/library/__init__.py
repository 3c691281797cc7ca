"""What `import lrbench` offers: the command line is a thin layer over it.

`choose` picks ranks for a model at hand, `sweep` runs a sweep, `fill` is what it and `lrbench sweep` share, `results`
reads a results folder without torch. The names that users import stand in `lrbench/__init__.py`.
"""
