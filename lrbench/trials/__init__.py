"""From a spec's run to its records.

`sweep` goes through its stages, `run` runs trials and probes, `work` is what a worker does with a job, `dense` and
`trial` are one training and one trial, `probes` single layers, `layers` and `retime` what is timed beside trials,
`history` numbers what is written. A sweep's records are yielded; who asks for them appends them to the log.
"""
