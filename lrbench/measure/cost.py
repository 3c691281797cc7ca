"""Params and MACs of a model for one image, or for one call of any other kind."""

from collections.abc import Mapping

import torch
from torch import nn

from lrbench.lowrank.examples import Example, call_of
from lrbench.measure.by_fvcore import Traced, trace_macs
from lrbench.measure.by_torch import count_macs
from lrbench.results.records import Cost


def measure_cost(model: nn.Module, example: Example) -> Cost:
    """Count params and, by forward passes, MACs: by torch's own counter, and beside it by fvcore.

    Args:
        model: any module, on any device; it is put into eval mode.
        example: the shape of one image, (C, H, W); or an input with its batch; or several, in a sequence or by keyword.

    Returns: MACs of convolutions, linear layers and matrix products. Fvcore's count, with what else it counts (batch
        norm, pooling), is empty where it cannot trace the model, with the reason.
    """
    call = call_of(example)
    counts, traced = count_macs(model.eval(), call), trace_macs(model, call)
    macs = sum(counts.macs.values())
    params = sum(parameter.numel() for parameter in model.parameters())
    if isinstance(traced, str):
        return Cost(params=params, macs=macs, other_ops=None, uncounted=(), lacking=counts.lacking, untraced=traced)
    return Cost(
        params=params,
        macs=macs,
        other_ops=traced.other_ops,
        uncounted=traced.uncounted,
        macs_fvcore=sum(traced.macs.values()),
        differing=_differing(counts.macs, traced),
        lacking=counts.lacking,
    )


def _differing(macs: Mapping[str, int], traced: Traced) -> tuple[str, ...]:
    """The operators whose MACs fvcore counts otherwise, or not at all."""
    return tuple(sorted(name for name in {**macs, **traced.macs} if macs.get(name, 0) != traced.macs.get(name, 0)))


def in_words(cost: Cost) -> tuple[str, ...]:
    """What a user should know of how a model's MACs were counted: what they lack, and why fvcore's are missing."""
    lacking = f"MACs lack what {', '.join(cost.lacking)} does: there is no formula for it" if cost.lacking else ""
    untraced = f"fvcore cannot trace the model, macs_fvcore stays empty: {cost.untraced}" if cost.untraced else ""
    return tuple(filter(None, (lacking, untraced)))


def denormal_share(model: nn.Module) -> float:
    """The share of a model's weights that are denormal; many processors are slow with them unless they are flushed."""
    weights = [
        p.detach().abs() for p in model.parameters() if p.dim() > 1 and (p.is_floating_point() or p.is_complex())
    ]
    near = sum(int(((w > 0) & (w < torch.finfo(w.dtype).tiny)).sum()) for w in weights)
    return near / max(1, sum(w.numel() for w in weights))
