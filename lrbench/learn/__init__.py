"""Data, models and their training.

`sources` and `datasets` give images, `models` a dense model, `architectures` a model of a shape with random weights,
`train` trains in place, `checkpoints` and `weights` keep what was trained. To add a data set, add an entry to
`SOURCES`.
"""
