"""What is told in words: a recommendation, an audit of plans, and rows of numbers.

`advice` puts a recommendation together, by `recommend` and `constraints`, `advice_texts` says it; `audit_texts` says
how plans turned out, `summary` the numbers of each trial. Only the command line imports from here. A constraint more
is an entry of `CONSTRAINTS`.
"""
