"""Executors: where the jobs of a run run, and where its timings are taken.

`executors` is the table, `jobs` what a job is and what a process keeps from one to the next, `workers` how many there
are; `pool` and `ray_*` are the executors that need more than this process. None of them writes a record. An executor
more is an entry of `EXECUTORS`.
"""
