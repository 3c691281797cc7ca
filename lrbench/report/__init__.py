"""From the tables of a results folder to figures, a page and advice; no torch.

`frames` computes, `figures` draws, `page` writes one HTML file, `advice` says it in words, `palette` has the colours
that figures and page share.
"""
