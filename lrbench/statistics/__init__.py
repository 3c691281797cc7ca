"""Intervals, ratios and tests, by numpy and scipy alone; nothing else of lrbench.

`paired` is what rounds of two models side by side say. Everything here may be imported from anywhere.
"""
