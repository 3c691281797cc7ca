"""Write what each column means into results/README.md, after a change of the columns: python bench/write_tables.py."""

from pathlib import Path

from lrbench.results.readme import renewed

README = Path(__file__).parents[1] / "results" / "README.md"

if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
