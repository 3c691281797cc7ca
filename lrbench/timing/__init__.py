"""Timing sessions, alone on their machine: of whole models, of single layers, and of the machine itself.

`models` and `layers` find what is not yet timed and time it, `processes` gives each session a process of its own and
the only timing on the machine, `doctor` tells whether a machine is fit for timing. This room knows no specs or trials.
"""
