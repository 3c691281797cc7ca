"""MACs and other operations by fvcore, which traces a model with torch.jit; some models it cannot trace."""

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lrbench.lowrank.examples import Call, tensors_of
from lrbench.measure.by_torch import unfused

MAC_OPERATORS = frozenset({"conv", "linear", "addmm", "mm", "matmul", "bmm", "baddbmm", "einsum"})
"""fvcore's names of the operators that are multiply-accumulates; the rest of what it counts are other operations.

fvcore counts one multiply-add as one flop, so its number is our MACs, and FLOPs = 2 x MACs.
"""


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What fvcore counts of one call: MACs by operator, all other operations, and operators that it cannot count."""

    macs: Mapping[str, int]
    other_ops: int
    uncounted: tuple[str, ...]


def trace_macs(model: nn.Module, call: Call) -> Traced | str:
    """Count the MACs of one call of a model by fvcore; in words why torch.jit cannot trace it, if it cannot.

    Args:
        model: in eval mode.
        call: runs it once.
    """
    with warnings.catch_warnings():
        # fvcore uses torch.jit, deprecated since torch 2.13: its import and its tracing both warn.
        warnings.filterwarnings("ignore", message=".*torch.jit")
        try:
            with unfused(), _hooks_restored(model):
                return _trace(model, call)
        except Exception as error:  # whatever torch.jit, or the model's own code under it, raises
            return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _trace(model: nn.Module, call: Call) -> Traced:
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import conv_flop_count, get_shape

    def same_padded(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        """A convolution with padding='same' or 'valid', which fvcore does not count."""
        return Counter({"conv": conv_flop_count(*map(get_shape, (*inputs[:2], outputs[0])))})

    class WholeModel(FlopCountAnalysis):  # type: ignore[misc]
        """Counts of the model as a whole: its modules go by numbers, for fvcore reads names as paths."""

        def _get_aliases(self, model: nn.Module) -> dict[str | nn.Module, str]:
            modules = dict.fromkeys(model.modules())
            numbered: dict[str | nn.Module, str] = {
                module: "" if module is model else f"m{number}" for number, module in enumerate(modules)
            }
            return {**numbered, **{name: name for name in numbered.values()}}

    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    analysis = WholeModel(_Called(model, call).eval(), ())
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.set_op_handle("aten::_convolution_mode", same_padded)
    counts = {name: int(count) for name, count in analysis.by_operator().items()}
    macs = {name: count for name, count in counts.items() if name in MAC_OPERATORS}
    return Traced(
        macs=macs,
        other_ops=sum(counts.values()) - sum(macs.values()),
        uncounted=tuple(sorted(analysis.unsupported_ops())),
    )


class _Called(nn.Module):
    """A model with its call, as torch.jit traces it: it takes nothing, and gives tensors."""

    def __init__(self, model: nn.Module, call: Call) -> None:
        super().__init__()
        self.model, self.call = model, call

    def forward(self) -> tuple[Tensor, ...]:
        """The tensors in the model's output."""
        return tuple(tensors_of(self.call(self.model)))


@contextmanager
def _hooks_restored(model: nn.Module) -> Iterator[None]:
    """A model has the hooks that it had before: fvcore leaves its own on one that cannot be traced."""
    before = {module: (dict(module._forward_pre_hooks), dict(module._forward_hooks)) for module in model.modules()}
    try:
        yield
    finally:
        for module, (pre_hooks, hooks) in before.items():
            for now, then in ((module._forward_pre_hooks, pre_hooks), (module._forward_hooks, hooks)):
                for added in now.keys() - then.keys():
                    del now[added]
