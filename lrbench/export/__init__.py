"""A trial as files that leave lrbench: weights with a plan, torch.export, ONNX; each checked and timed.

`job` goes from a trial to a folder, `artefacts` is the table of files, `check` holds each against the trial, `timing`
times it, `load` gives the model back. One more file is an entry of `ARTEFACTS`.
"""
