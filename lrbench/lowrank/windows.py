"""The window attention of torchvision's Swin Transformers, its projections linear layers that are called.

Shapes: N images, H x W tokens, C channels, P windows of an image, T tokens of a window.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

CLOSED = ("ShiftedWindowAttention", "ShiftedWindowAttentionV2")
"""The classes of `torchvision.models.swin_transformer` that read their projections' weights."""


class WindowAttention(nn.Module):
    """What a class in `CLOSED` computes (Liu et al. 2021, arXiv 2103.14030 and 2111.09883), by layers `qkv`, `proj`."""

    qkv: nn.Linear
    proj: nn.Linear
    num_heads: int
    window_size: Sequence[int]
    shift_size: Sequence[int]
    attention_dropout: float
    dropout: float
    relative_position_index: Tensor
    relative_position_bias_table: Tensor
    relative_coords_table: Tensor
    cpb_mlp: nn.Module
    logit_scale: Tensor

    def __init__(self, closed: nn.Module) -> None:
        """Take over a module's very parameters, by their names.

        In version 2 keys have no bias: that third of it is zero, and would be trained.
        """
        super().__init__()
        vars(self).update(vars(closed))
        self.is_cosine = hasattr(closed, "logit_scale")
        if self.is_cosine and self.qkv.bias is not None:
            with torch.no_grad():
                self.qkv.bias.chunk(3)[1].zero_()

    def forward(self, images: Tensor) -> Tensor:
        """Tokens (N, H, W, C) to tokens of the same shape."""
        windows = _to_windows(images, self.window_size, self.shift_size)
        count, tokens = windows.shape[0], windows.shape[1]
        heads = self.qkv(windows).reshape(count, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = heads[0], heads[1], heads[2]  # (N P, heads, T, C / heads)
        if self.is_cosine:
            scale = self.logit_scale.clamp(max=math.log(100.0)).exp()
            scores = functional.normalize(q, dim=-1) @ functional.normalize(k, dim=-1).transpose(-2, -1) * scale
        else:
            scores = q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)
        scores = _hide(scores + self._position_bias(), images, self.window_size, self.shift_size)
        weights = functional.dropout(scores.softmax(-1), self.attention_dropout, self.training)
        mixed = self.proj((weights @ v).transpose(1, 2).flatten(2))
        mixed = functional.dropout(mixed, self.dropout, self.training)
        return _to_images(mixed, images, self.window_size, self.shift_size)

    def _position_bias(self) -> Tensor:
        """What is added to the scores of each head by how two tokens of a window lie, (heads, T, T)."""
        tokens = self.window_size[0] * self.window_size[1]
        if self.is_cosine:
            table: Tensor = self.cpb_mlp(self.relative_coords_table).view(-1, self.num_heads).sigmoid() * 16
        else:
            table = self.relative_position_bias_table
        return table[self.relative_position_index].view(tokens, tokens, -1).permute(2, 0, 1)


def _shifts(images: Tensor, window: Sequence[int], shift: Sequence[int]) -> list[int]:
    """By how much images are rolled: not along an axis that one window covers."""
    return [0 if extent >= size else by for size, extent, by in zip(images.shape[1:3], window, shift, strict=True)]


@fx.wrap
def _to_windows(images: Tensor, window: Sequence[int], shift: Sequence[int]) -> Tensor:
    """Padded and rolled images (N, H, W, C) as windows (N P, T, C)."""
    height, width = images.shape[1:3]
    padded = functional.pad(images, (0, 0, 0, -width % window[1], 0, -height % window[0]))
    shifts = _shifts(images, window, shift)
    rolled = torch.roll(padded, [-by for by in shifts], (1, 2)) if any(shifts) else padded
    return _split(rolled, window)


def _split(padded: Tensor, window: Sequence[int]) -> Tensor:
    """Images that whole windows cover, (N, H, W, C), as windows (N P, T, C)."""
    count, height, width, channels = padded.shape
    tiles = padded.reshape(count, height // window[0], window[0], width // window[1], window[1], channels)
    return tiles.transpose(2, 3).reshape(-1, window[0] * window[1], channels)


@fx.wrap
def _to_images(windows: Tensor, images: Tensor, window: Sequence[int], shift: Sequence[int]) -> Tensor:
    """Windows (N P, T, C) as images of the shape of those that they came from."""
    height, width = images.shape[1:3]
    down, across = -(-height // window[0]), -(-width // window[1])
    tiles = windows.reshape(len(images), down, across, window[0], window[1], -1)
    padded = tiles.transpose(2, 3).reshape(len(images), down * window[0], across * window[1], -1)
    shifts = _shifts(images, window, shift)
    rolled = torch.roll(padded, shifts, (1, 2)) if any(shifts) else padded
    return rolled[:, :height, :width].contiguous()


@fx.wrap
def _hide(scores: Tensor, images: Tensor, window: Sequence[int], shift: Sequence[int]) -> Tensor:
    """Scores (N P, heads, T, T) less 100 between tokens that only rolling brought into one window."""
    shifts = _shifts(images, window, shift)
    if not any(shifts):
        return scores
    rows, columns = (
        torch.arange(-(-size // extent) * extent, device=scores.device)
        for size, extent in zip(images.shape[1:3], window, strict=True)
    )
    came_round = 2 * (rows >= len(rows) - shifts[0])[:, None] + (columns >= len(columns) - shifts[1])[None]
    regions = _split(came_round[None, :, :, None], window).squeeze(-1)  # (P, T)
    apart = (regions[:, :, None] != regions[:, None]).to(scores.dtype) * -100
    return scores + apart[:, None].repeat(images.shape[0], 1, 1, 1)
