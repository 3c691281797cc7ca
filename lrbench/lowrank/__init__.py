"""Low-rank factorization of convolutions and linear layers; it can be lifted out whole.

`cuts` (no torch) is the record of what happens to a layer, `layers` finds layers, `plain` says what a layer is beside
its class, `attention` opens an attention into layers (`windows` that of Swin Transformers); `schemes`, `costs` and
`factors` say how a weight becomes factors, `replace` puts them in a model (`copies`), and `self_check` checks that it
computes the same (`examples` are its calls). `svd`, `moments` and `sequential` say how a weight is cut (`passes` runs
the networks for the last), `ranks`, `rule_texts` and `allocations` (no torch) how ranks are chosen; `compress` puts
them together. To add a scheme, add an entry to `SCHEMES`; a rank rule to `RULES`; a way to spend a budget to
`ALLOCATIONS`; a kind of layer to `KINDS`.
"""
