"""Datasets, models and training."""
