"""The numbers of README.md, docs/ and results/README.md, each with where it comes from.

`texts` finds the numbers of a document, `claim` holds what is said of one against what it really is, `tables` reads
results/, the specs and what `recommend` takes. `documents` has an entry a document: a function that yields its claims.
Each has a file of its name, but `pages` has those of few numbers, and results/README.md is in `studies`, `taken` (what
is recommended) and `simulated`; `gate` and `calibration` serve two. `python -m bench.claims` prints all claims.

To add a number, write the sentence and a `computed` claim with the same words, `{}` where the number stands, and what
it is. A number that results/, a spec or the code do not tell is `stated`, with its kind and source.
"""
