"""What is told in words: a recommendation, an audit of plans, and rows of numbers.

`advice` puts a recommendation together with what has to be said of it (`notes`), `advice_texts` says it; `audit_texts`
says how plans turned out, `summary` the numbers of each trial, `end` the last lines of a sweep. Only the command line
and the library import from here. A note more is a function of `notes`, and a line where notes are gathered in `advice`.
"""
