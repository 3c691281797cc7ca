"""What is observed of a model: cost, accuracy, latency, and the machine it happened on.

`cost` (by the counts of `by_torch` and `by_fvcore`), `accuracy` and `kernels` look at a model, `side_by_side` times
several in one session (`memory_formats` tells which fit), `runtimes` is the table of what runs them, `settings` the
combinations that run here, `environment` the machine. To add a runtime, add an entry to `RUNTIMES`.
"""
