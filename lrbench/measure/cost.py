"""Params, and MACs by fvcore, of a model for one image."""

import logging
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from lrbench.results.records import Cost

MAC_OPERATORS = frozenset({"conv", "linear", "addmm", "matmul", "bmm", "baddbmm", "einsum"})
"""fvcore's names of the operators that are multiply-accumulates; its other counts are `other_ops`.

fvcore counts one multiply-add as one flop, so its number is our MACs, and FLOPs = 2 x MACs.
"""


def measure_cost(model: nn.Module, input_shape: Sequence[int]) -> Cost:
    """Count params and, by tracing one forward pass, MACs.

    Args:
        model: any module in eval mode, on any device.
        input_shape: of one image, (C, H, W).

    Returns: MACs of convolutions, linear layers and matrix products; what else fvcore counts (batch norm,
        pooling); and the operators that it met but cannot count.
    """
    with warnings.catch_warnings():
        # fvcore uses torch.jit, deprecated since torch 2.13: its import and its tracing both warn.
        warnings.filterwarnings("ignore", message=".*torch.jit")
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

        parameter = next(model.parameters())
        image = torch.zeros(1, *input_shape, dtype=parameter.dtype, device=parameter.device)
        logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
        analysis = WholeModel(model.eval(), image)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        analysis.set_op_handle("aten::_convolution_mode", same_padded)
        counts = analysis.by_operator()
        uncounted = analysis.unsupported_ops()
    macs = sum(int(count) for name, count in counts.items() if name in MAC_OPERATORS)
    return Cost(
        params=sum(parameter.numel() for parameter in model.parameters()),
        macs=macs,
        other_ops=sum(int(count) for count in counts.values()) - macs,
        uncounted=tuple(sorted(uncounted)),
    )


def denormal_share(model: nn.Module) -> float:
    """The share of a model's weights that are denormal; many processors are slow with them unless they are flushed."""
    weights = [p.detach().abs() for p in model.parameters() if p.dim() > 1]
    near = sum(int(((w > 0) & (w < torch.finfo(w.dtype).tiny)).sum()) for w in weights)
    return near / max(1, sum(w.numel() for w in weights))
