"""Data, models and their training.

`sources` and `datasets` give images, `models` a dense model, `architectures` a model of a shape with random weights.
`batches` makes batches: `augment` changes images at random, `device_images` keeps them on a GPU. `train` trains in
place, in the number format that `precision` decides on; `memory` makes a process keep what it frees. `checkpoints` and
`weights` keep what was trained. To add a data set, add an entry to `SOURCES`.
"""
