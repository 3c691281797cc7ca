"""Timing sessions, alone on their machine: of whole models, of single layers, and of the machine itself.

`architectures` and `layers` find what is not yet timed and time it, `repeat` says how often, `isolation` gives each
session a process of its own, `lock` the machine, `doctor` tells whether a machine is fit for timing.
This room knows no specs or trials.
"""
