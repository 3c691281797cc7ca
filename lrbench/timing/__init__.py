"""Timing sessions of whole models and of single layers, alone on their machine."""
