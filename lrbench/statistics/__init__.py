"""Intervals, ratios and tests, by numpy and scipy alone; nothing else of lrbench.

`paired` is what rounds of two models side by side say, `posterior` how probable it is that a limit is kept. Everything
here may be imported from anywhere.
"""
