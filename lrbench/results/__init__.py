"""What was observed: records, the log that holds them, and the tables that are views of it.

`records` and `sessions` are what a log's lines hold, `log` writes and reads them, `columns` declares each column of
the tables once, `tables` builds and reads these, `files` reads and writes a file, plain or packed, `writers` lets
one process at a time write, `publish` packs a folder, `observed` and `timings` say which sessions count.
Everything here may be imported from anywhere above; no torch. A column more is an entry of its table in `columns`.
"""
