"""Timing sessions, alone on their machine: of whole models, of single layers, and of the machine itself.

`models` and `layers` say what is not yet timed and time it, `processes` gives each session a process and the machine
to itself, `doctor` says whether a machine is fit. Nothing here knows of specs or trials.
"""
