"""The one place where a point is chosen: what may be asked for, which point answers it, how sure that is.

`constraints` is what can be asked, `choose` the rule, `recommend` what is said of a choice among points, `pick` gathers
the points of a results folder for it and answers the usual question, `told` says those answers in words. Page, advice,
command line and library take their answers here. A constraint more is an entry of `CONSTRAINTS`.
"""
