"""Data, models and their training.

`sources` and `datasets` give images: `image_files` lists those of a directory, `images` reads and fits one,
`own_source` holds a user's own data set to its items and `own_code` to its code, `classes` has labels and splits,
`presets` what `data.preset` sets, `survey` what is told of a data set. `models` gives a dense model, `architectures` a
model of a shape with random weights. `batches` makes batches: `augment` changes images at random, `device_images` keeps
them on a GPU. `train` trains in place, in the number format that `precision` decides on; `memory` makes a process keep
what it frees. `checkpoints` and `weights` keep what was trained. To add a data set, add an entry to `SOURCES`.
"""
