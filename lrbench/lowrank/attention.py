"""Attention with its projections as linear layers that are called, so that they can be factorized.

`nn.MultiheadAttention` is opened here, what torchvision's Swin Transformers have in `windows`.

Shapes: N images, L queries, S keys, E embedding, H heads.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lrbench.lowrank.copies import copy_of
from lrbench.lowrank.examples import Call
from lrbench.lowrank.windows import CLOSED, WindowAttention

FUSED = "in_proj"
"""The projection of all three where an attention is of a sequence to itself."""

SINGLE = ("q_proj", "k_proj", "v_proj")
"""The projections of queries, keys and values where they are not of one sequence."""


class Attention(nn.Module):
    """What an `nn.MultiheadAttention` computes, by linear layers `in_proj` (or `SINGLE`) and `out_proj`."""

    _qkv_same_embed_dim = False  # nn.TransformerEncoderLayer then calls forward, and reads no weight
    in_proj_bias = None

    def __init__(self, closed: nn.MultiheadAttention, *, fused: bool) -> None:
        """Take over a module's parameters; `fused`: it is only called with query, key and value the same."""
        super().__init__()
        self.embed_dim, self.num_heads, self.dropout = closed.embed_dim, closed.num_heads, closed.dropout
        self.batch_first, self.fused = closed.batch_first, fused
        weights = (
            closed.in_proj_weight.detach().chunk(3)
            if closed._qkv_same_embed_dim
            else [getattr(closed, f"{name}_weight").detach() for name in SINGLE]
        )
        biases = [None] * 3 if closed.in_proj_bias is None else closed.in_proj_bias.detach().chunk(3)
        if fused:
            whole = None if biases[0] is None else torch.cat([bias for bias in biases if bias is not None])
            self.in_proj = _linear(torch.cat(list(weights)), whole)
        else:
            for name, weight, bias in zip(SINGLE, weights, biases, strict=True):
                setattr(self, name, _linear(weight, bias))
        self.out_proj = _linear(closed.out_proj.weight.detach(), closed.out_proj.bias)
        requires = closed.out_proj.weight.requires_grad
        self.requires_grad_(requires).train(closed.training)

    def forward(  # noqa: PLR0913 - the arguments of nn.MultiheadAttention, in its order
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As `nn.MultiheadAttention.forward`."""
        projected = self._project(query, key, value)
        is_batched = query.dim() == 3
        q, k, v = (self._heads(part, is_batched) for part in projected)  # (N, H, L, E / H)
        mask = _mask(attn_mask, key_padding_mask, heads=self.num_heads, like=q)
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
            weights = (scores if mask is None else scores + mask).softmax(-1)
            mixed = functional.dropout(weights, dropout) @ v
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights if is_batched else weights.squeeze(0)
        else:
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        joined: Tensor = mixed.transpose(1, 2).flatten(2)  # (N, L, E)
        if not is_batched:
            joined = joined.squeeze(0)
        elif not self.batch_first:
            joined = joined.transpose(0, 1)
        output: Tensor = self.out_proj(joined)
        return output, weights

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        if self.fused:
            if query is not key or key is not value:
                raise ValueError("this attention was opened for a sequence to itself, and is called with several")
            projected: Tensor = self.in_proj(query)
            return projected.chunk(3, dim=-1)
        return tuple(getattr(self, name)(part) for name, part in zip(SINGLE, (query, key, value), strict=True))

    def _heads(self, part: Tensor, is_batched: bool) -> Tensor:
        """(N, H, L, E / H) of a batch as it came, or of one sample."""
        if not is_batched:
            part = part.unsqueeze(0)
        elif not self.batch_first:
            part = part.transpose(0, 1)
        return part.reshape(*part.shape[:2], self.num_heads, -1).transpose(1, 2)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer


def _mask(attn: Tensor | None, padding: Tensor | None, *, heads: int, like: Tensor) -> Tensor | None:
    """Both masks as one that is added to the scores (N, H, L, S); True in a mask of truths forbids."""
    shaped = []
    if attn is not None:
        shaped.append(attn if attn.dim() == 2 else attn.reshape(-1, heads, *attn.shape[1:]))
    if padding is not None:
        shaped.append(padding.reshape(-1, 1, 1, padding.shape[-1]))
    added = [like.new_zeros(m.shape).masked_fill(m, float("-inf")) if m.dtype == torch.bool else m for m in shaped]
    return sum(added[1:], start=added[0]) if added else None


def open_attention(model: nn.Module, call: Call) -> nn.Module:
    """A copy of a model with its attentions opened; the model itself where it has none.

    Those with added keys (`bias_k`, `add_zero_attn`) and those that the forward pass does not reach stay as they are.

    Args:
        model: in eval mode, left as it was.
        call: runs a model once.
    """
    closed = {name: module for name, module in model.named_modules() if _can_open(module)}
    fused: dict[str, bool] = {}

    def watch(name: str) -> Any:
        def see(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not isinstance(module, nn.MultiheadAttention):
                fused[name] = True
                return
            named = {**dict(zip(("query", "key", "value"), args, strict=False)), **kwargs}
            is_self = named["query"] is named["key"] and named["key"] is named["value"]
            fused[name] = fused.get(name, True) and is_self and bool(module._qkv_same_embed_dim)

        return closed[name].register_forward_pre_hook(see, with_kwargs=True)

    handles = [watch(name) for name in closed]
    try:
        if closed:
            with torch.no_grad():
                call(model)
    finally:
        for handle in handles:
            handle.remove()
    return open_named(model, fused)


def open_named(model: nn.Module, fused: dict[str, bool]) -> nn.Module:
    """A copy of a model with named attentions opened, fused or not; the model itself where none is named."""
    if not fused:
        return model
    opened = copy_of(model)
    for name, is_fused in fused.items():
        closed = opened.get_submodule(name)
        attention = _opened(closed, fused=is_fused)
        for alias, module in list(opened.named_modules(remove_duplicate=False)):
            if module is closed:
                opened.set_submodule(alias, attention)
    return opened


def _opened(closed: nn.Module, *, fused: bool) -> nn.Module:
    if isinstance(closed, nn.MultiheadAttention):
        return Attention(closed, fused=fused).to(closed.out_proj.weight.device)
    return WindowAttention(closed)


def is_opened(module: nn.Module) -> bool:
    """Whether a module is an attention that was opened."""
    return isinstance(module, Attention | WindowAttention)


def open_for(model: nn.Module, layers: Iterable[str]) -> nn.Module:
    """A copy of a model with those attentions opened whose projections are named; the model itself where none is."""
    modules, fused = dict(model.named_modules()), dict[str, bool]()
    for layer in layers:
        parent, _, name = layer.rpartition(".")
        if parent in modules and _can_open(modules[parent]) and layer not in ("", parent):
            fused[parent] = fused.get(parent, False) or name == FUSED
    return open_named(model, fused)


def _can_open(module: nn.Module) -> bool:
    if any((module._forward_hooks, module._forward_pre_hooks)) or "forward" in vars(module):
        return False
    if type(module) is nn.MultiheadAttention:
        return module.bias_k is None and not module.add_zero_attn
    kind = type(module)
    return kind.__module__ == "torchvision.models.swin_transformer" and kind.__name__ in CLOSED
