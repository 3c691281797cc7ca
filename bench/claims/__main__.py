"""Every number of the documents, where it stands and what it is: `python -m bench.claims`, or `make claims`."""

import sys

from bench.claims.claim import find, problems, shown
from bench.claims.documents import DOCUMENTS
from bench.claims.tables import ROOT


def main() -> int:
    """Print all claims, then what is wrong; 1 when something is."""
    wrong = []
    for name, claims_of in DOCUMENTS.items():
        text, claims = (ROOT / name).read_text(encoding="utf-8"), tuple(claims_of())
        for claim in claims:
            for line in find(text, claim):
                source = shown(claim.values) if claim.kind == "computed" else f"{claim.kind}: {claim.source}"
                print(f"{name}:{line.line}\t{line.words}\t{source}")
        wrong += [f"{name}: {problem}" for problem in problems(text, claims)]
    print("\n".join(wrong), file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
