"""Results: records, the log that holds them, and the tables that are views of it.

`records`, `sessions` and `environment` are the lines of a log, `log` writes and reads them, `columns` declares each
column of the tables once, `tables` builds and reads these, `files` reads and writes a file, plain or packed,
`writers` lets one process at a time write, `publish` packs a folder, `observed` and `timings` decide which sessions
count, `occasions` what they say together. Everything here may be imported from any room above; no torch. To add a
column, add an entry to its table in `columns`.
"""
