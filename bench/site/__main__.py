"""Lay the pages of the site out in a folder: `python -m bench.site FOLDER`."""

import sys
from pathlib import Path

from bench.site.stage import lay_out

if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
