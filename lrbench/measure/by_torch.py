"""MACs by torch's own counter, operator by operator; a product of matrices that it has no formula for is named."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from lrbench.lowrank.examples import Call

Shape = tuple[int, ...]
aten = torch.ops.aten


def _of_vector(matrix: Shape, _vector: Shape, **_: Any) -> int:
    return 2 * prod(matrix)


def _added_to_vector(_added: Shape, matrix: Shape, _vector: Shape, **_: Any) -> int:
    return 2 * prod(matrix)


def _added(_added: Shape, one: Shape, other: Shape, **_: Any) -> int:
    return 2 * prod(one) * other[-1]


FORMULAS: Mapping[Any, Callable[..., int]] = MappingProxyType(
    {
        **dict.fromkeys((aten.mv, aten.dot, aten.vdot), _of_vector),
        **dict.fromkeys((aten.addmv, aten.addmv_), _added_to_vector),
        **dict.fromkeys((aten.addbmm, aten.addbmm_, aten.addmm_, aten.baddbmm_), _added),
    }
)
"""Shapes -> flops of the products that torch's counter (2.14) takes for nothing; it counts 2 flops a MAC."""

PRODUCTS = frozenset(("mm", "addmm", "bmm", "mv", "dot", "linear", "convolution", "attention", "encoder")) | frozenset(
    ("rnn", "trilinear", "cdist", "cholesky", "fft", "linalg")
)
"""Words in the names of torch's operators that multiply matrices, or do as much work."""

FREE = frozenset(("norm", "cross", "diagonal"))
"""Words in names of `linalg` operators that do not."""

COUNTED = frozenset(("aten", "prim", "profiler"))
"""Namespaces of torch's own operators; of any other operator it is unknown what it does."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """MACs of one call by operator (`conv`, `linear`, `matmul`, ...), and the operators whose MACs are lacking."""

    macs: Mapping[str, int]
    lacking: tuple[str, ...]


def count_macs(model: nn.Module, call: Call) -> Counts:
    """Count the MACs of one call of a model by torch's counter, each for the operator that the model called.

    Fused kernels, of which the counter knows nothing, are left alone: attention and recurrent layers then consist of
    the products that they stand for.

    Args:
        model: in eval mode.
        call: runs it once.
    """
    counter = FlopCounterMode(display=False, custom_mapping=dict(FORMULAS))
    counter.mod_tracker = _Whole()  # type: ignore[assignment]
    executed, called = _Executed(), _Called(counter)
    with torch.inference_mode(), unfused(), executed, counter, called:
        call(model)
    known = {getattr(operator, "_qualified_op_name", str(operator)) for operator in counter.flop_registry}
    return Counts(
        macs={name: macs for name, macs in called.macs.items() if macs},
        lacking=tuple(sorted(filter(_may_multiply, executed.names - known))),
    )


@contextmanager
def unfused() -> Iterator[None]:
    """Attention and recurrent layers as products of matrices, not as one kernel."""
    fast, recurrent = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    torch.backends.mha.set_fastpath_enabled(False)
    # `torch.backends.mkldnn.flags` would also set, and warn of, what is not ours.
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.backends.mkldnn.enabled = recurrent


class _Whole(nullcontext[None]):
    """In place of what tells modules apart, by hooks that fail where a parameter is passed to a module."""

    parents = frozenset({"Global"})


class _Called(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What a counter counts, by the operators that a model calls; it stands outside of the counter."""

    supports_higher_order_operators = True

    def __init__(self, counter: FlopCounterMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counter, self.macs = counter, Counter[str]()

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = self.counter.get_total_flops()
        output = func(*args, **(kwargs or {}))
        name = _name_of(func).rpartition("::")[2]
        self.macs["conv" if "conv" in name else name] += (self.counter.get_total_flops() - before) // 2
        return output


class _Executed(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The operators that are left once a counter has taken all apart; it stands inside of the counter."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(_name_of(func))
        return func(*args, **(kwargs or {}))


def _name_of(operator: Any) -> str:
    """The name of an operator without that of its overload: `aten::mm`."""
    name: str = operator.name()
    return name.partition(".")[0]


def _may_multiply(operator: str) -> bool:
    """Whether an operator may do work that counts in MACs."""
    namespace, _, name = operator.partition("::")
    words = set(name.split("_"))
    return namespace not in COUNTED or bool(words & PRODUCTS and not words & FREE)
