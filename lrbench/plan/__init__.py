"""What a spec means: its trials, their cuts, budgets, and the disk and memory they need; trains and times nothing.

`spec` reads a sweep, `grid` says which choices of it go together, `run` prepares it, `trials` lists its trials and
builds the untrained dense model, `cuts` and `budgets` choose ranks by `evidence`, `feasible` tells what cannot be,
`preview` shows what is known of a trial before it runs, `schedulers` choose what follows by outcomes, `layer_ranks`
lists the ranks at which single layers are probed and timed, `disk_and_memory` estimates what it takes, `memory_formats`
leaves channels_last out where the model cannot. To add a score for budgets, add an entry to `SCORES` in `budgets`; a
scheduler, one to `SCHEDULERS` in `schedulers`.
"""
