"""One HTML file of one or several results folders.

`page` writes it from `assets`, `overlay` lays folders over one another, `sections` has the tables, `charts` and
`traces` the charts, `details` what is told of single trials, `findings` the summary in words. A table of the page more
is a function of `sections`, and a line in `page` and in `assets/page.html`.
"""
