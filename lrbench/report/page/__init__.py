"""One HTML file of one or several results folders.

`page` writes it from `assets`, `overlay` lays folders over one another, `decide` has what the Decide panel and the hero
chart compare, `charts` the other charts and `points` what these show, `sections` the tables, `details` what is told of
single trials, `findings` the summary in words, `packing` how data travel. A chart more is an entry of `charts`; a table
more is a function of `sections`, and a line in `page` and in `assets/page.html`. `assets` holds d3 7.9.0 (ISC) and its
licence.
"""
