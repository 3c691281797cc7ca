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
    for one in json.loads(path.read_text())["benchmarks"]:
        groups.setdefault(one["group"], []).append(one)
    for group, members in groups.items():
        print(group)
        reference = next(one for one in members if one["extra_info"].get("reference"))
        for one in members:
            median = one["stats"]["median"]
            print(
                f"  {one['name']:32} {median:12.6f} s  {median / reference['stats']['median']:10.4f} of the reference"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
