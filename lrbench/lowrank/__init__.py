"""Low-rank factorization of convolutions and linear layers; it can be lifted out whole.

`cuts` (no torch) is the record of what happens to a layer, `layers` finds layers, `schemes` and `factors` say how a
weight becomes factors, `svd`, `moments` and `sequential` how it is cut (`passes` runs the networks for the last),
`ranks`, `rule_texts` and `allocations` (no torch) how ranks are chosen, `compress` puts them together. To add a scheme,
add an entry to `SCHEMES`; a rank rule to `RULES`; a way to spend a budget to `ALLOCATIONS`.
"""
