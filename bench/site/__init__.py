"""The site that `make docs` builds from README.md, docs/ and results/README.md.

`nav` says which pages there are and in which order, `pages` writes those that come from the code, `drawings` draws the
schemes; `stage` lays all of them out as they lie in the repository, so that a link which works there works on the site,
and `conf` tells Sphinx the rest. `python -m bench.site FOLDER` lays them out. To add a page of words, write it in docs/
and name it in `NAV`; to add one that is written from the code, also add an entry to `PAGES`.
"""
