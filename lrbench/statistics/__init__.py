"""Intervals, ratios and tests, by numpy and scipy alone."""
