"""Intervals, ratios and tests, by numpy and scipy alone; nothing else of lrbench.

`paired` compares two models by rounds timed side by side. Everything here may be imported from anywhere.
"""
