"""Random generators: Python's, numpy's and torch's, seeded and continued together.

Workers of a torch `DataLoader` take their seeds, of all three, from torch's.
"""

import json
import random
from typing import Any

import numpy as np
import torch

NUMPY_SEEDS = 2**32
"""numpy's old global generator takes seeds below."""


def seed_all(seed: int) -> None:
    """Seed every generator of this process, those of its GPUs too."""
    random.seed(seed)
    np.random.seed(seed % NUMPY_SEEDS)  # noqa: NPY002 - the global one, which a user's code may draw from
    torch.manual_seed(seed)


def generator_states() -> dict[str, Any]:
    """The states of all generators, as tensors and plain values."""
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "generator": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": json.dumps(random.getstate()),
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest],
    }


def restore_generators(states: dict[str, Any]) -> None:
    """Continue all generators from their states; those of GPUs where there are as many. Earlier versions kept torch's.

    Raises: whatever a damaged state makes of it.
    """
    torch.set_rng_state(states["generator"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    if "python" in states:
        version, words, gauss = json.loads(states["python"])
        random.setstate((version, tuple(words), gauss))
    if "numpy" in states:
        kind, keys, *rest = states["numpy"]
        np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
