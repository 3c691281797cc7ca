"""What may not get worse: verdicts on two results folders, and on two versions of the code; no torch.

`check` judges folders (`exact`, `accuracy`, `timed`, `benchmarks`), `job` and `regress` two versions timed in turn,
`history` many runs (`steps`: where a level changes). One more format of verdicts is an entry of `FORMATS`.
"""
