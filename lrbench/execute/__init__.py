"""Executors: where the jobs of a run are executed, and where its timings are taken.

`executors` has the table, `jobs` defines a job and what a process keeps between jobs, `workers` says how many there
are; `pool` and `ray_*` are the executors that need more than this process. No executor writes records. To add an
executor, add an entry to `EXECUTORS`.
"""
