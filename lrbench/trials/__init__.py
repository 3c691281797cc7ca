"""From the run of a spec to its records.

`sweep` runs the stages, `run` runs trials and probes, `work` holds what a worker does with a job, `dense` trains the
dense model, `trial` measures one trial, `probes` truncates single layers, `layers` and `retime` make the timings
beside a sweep, `history` numbers the records. A sweep yields its records; the caller appends them to the log.
"""
