"""Print each benchmark of a record over its group's reference, both of the same run.

python bench/ratios.py build/bench/benchmarks.json
"""

import json
import sys
from pathlib import Path
from typing import Any


def main(path: Path) -> None:
    """Read a record of pytest-benchmark, and print medians and their ratios."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for benchmark in json.loads(path.read_text())["benchmarks"]:
        groups.setdefault(benchmark["group"], []).append(benchmark)
    for group, members in groups.items():
        print(group)
        reference = next(member for member in members if member["extra_info"].get("reference"))
        for member in members:
            median = member["stats"]["median"]
            ratio = median / reference["stats"]["median"]
            print(f"  {member['name']:32} {median:12.6f} s  {ratio:10.4f} of the reference")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
