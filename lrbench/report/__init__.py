"""From the tables of a results folder to figures, a page and advice; no torch.

`results` is a folder whose frames are computed once, by the functions of `frames`; `choice` is the one place where a
point of it is chosen. Above them `figures` draws, `page` writes one HTML file, `advice` says it in words: these three
know nothing of one another. `texts` is the one way to write a table or a value with its interval, `palette` has the
colours that figures and page share.
"""
