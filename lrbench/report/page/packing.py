"""How frames travel in a page: columns, texts by number, and all of it as compressed JSON."""

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

DIGITS, LEVEL = 6, 6
"""Significant digits of what is only shown, and how hard gzip tries: more takes twice as long for a hundredth."""


def listed(values: Iterable[Any], digits: int = DIGITS) -> list[float | None]:
    """Numbers as JSON knows them, so many significant digits of each; None where there is none."""
    codes, found = pd.factorize(np.array([*values], dtype=float), use_na_sentinel=False)
    told = [float(f"{value:.{digits}g}") if isfinite(value) else None for value in found.tolist()]
    return [told[code] for code in codes.tolist()]


def packed(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """A frame by columns: `values` of numbers, `words` and `codes` of texts (-1 where there is none)."""
    return {str(name): _column(frame[name]) for name in frame}


def _column(column: "pd.Series[Any]") -> dict[str, Any]:
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        whole = pd.api.types.is_integer_dtype(column)
        return {"values": column.tolist() if whole else listed(column)}
    codes, words = pd.factorize(column.to_numpy(object))
    return {"words": [str(word) for word in words], "codes": codes.tolist()}


def compressed(data: Mapping[str, Any]) -> str:
    """JSON, gzipped, as base64: a text without a character that means anything in HTML."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode("utf-8", "backslashreplace"), LEVEL, mtime=0)).decode()


def decompressed(text: str) -> Any:
    """What `compressed` was given."""
    return json.loads(gzip.decompress(base64.b64decode(text)))
