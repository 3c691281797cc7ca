"""Keys: short digests of what decides an outcome."""

import hashlib
import json
from typing import Any


def digest(value: Any) -> str:
    """A short key for anything JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
