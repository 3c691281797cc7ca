"""What a spec means: its trials, the cuts of each, budgets, and what all that needs; trains and times nothing.

`spec` reads a sweep, `run` prepares it, `trials` lists its trials and builds the untrained dense model, `cuts` and
`budgets` choose ranks, by `evidence`, `preview` says what is known of a trial before it runs, `ladders` at which
ranks single layers are looked at, `needs` what disk and memory it takes. What a budget looks at is an entry of
`SCORES` in `budgets`.
"""
