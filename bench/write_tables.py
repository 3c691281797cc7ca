"""After a change of the columns or of the spec's keys: write what explains them, and recorded tables from their logs.

    python bench/write_tables.py

Columns are explained in results/README.md, keys in docs/keys.md. Tables are those of bench/baseline and of each folder
in results/ with a log; packed ones stay packed. Commit all of it with the change. Running it again changes nothing.
"""

from pathlib import Path

from lrbench.config.manual import keys_page
from lrbench.results.files import is_there, pack, packed, read_file, unpack
from lrbench.results.log import LOG, read_records, write_table
from lrbench.results.readme import renewed
from lrbench.results.tables import build_tables, guarded

ROOT = Path(__file__).parents[1]
README = ROOT / "results/README.md"
KEYS = ROOT / "docs/keys.md"


def renew_tables(folder: Path) -> None:
    """Write the tables of a folder that are not what its log says."""
    for name, table in build_tables(read_records(folder)).items():
        path = folder / f"{name}.csv"
        if is_there(path) and read_file(path) == guarded(table).to_csv(index=False).encode():
            continue
        was_packed = packed(path).is_file()
        unpack(path)
        write_table(table, path)
        if was_packed:
            pack(path)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    KEYS.write_text(keys_page(), encoding="utf-8")
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
    for recorded in (ROOT / "bench" / "baseline", *sorted((ROOT / "results").iterdir())):
        if is_there(recorded / LOG):
            renew_tables(recorded)
