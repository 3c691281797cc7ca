"""What is computed from the tables of a results folder: DataFrame in, DataFrame out; nothing is read, drawn or written.

`trials` is what finished, `rivals` who competes and by which split is chosen, `pooling` trials pooled over seeds into
points, `drops` and `control` what points and trials lose in accuracy, `standing` how points stand to one another,
`latency` ratios of whole models and layers, `summary` the numbers of each trial, `scores`, `sensitivity`, `budgets` and
`audit` what is told of all of them together. Everything here may be imported from the rest of the report and from the
gate. A frame more is a function here, and a property of `Results`.
"""
