"""Rank sweeps for low-rank CNNs: which rank, in which layers, buys what, at what accuracy."""
