"""What is computed from the tables of a results folder: DataFrame in, DataFrame out; nothing is read, drawn or written.

`trials` is what finished and the Pareto front of it, `standing` how trials stand to one another and to dense,
`latency` ratios of whole models and layers, `points` trials pooled over seeds, `summary` the numbers of each trial,
`scores`, `sensitivity`, `budgets` and `audit` what is told of all of them together. Everything here may be imported
from the rest of the report and from the gate. A frame more is a function here, and a property of `Results`.
"""
