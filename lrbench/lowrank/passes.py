"""Outputs of one layer after another in a dense model and in its small copy, whose layers change in between.

A model that torch.fx can trace is run about once: each batch waits in both networks at the layer that comes next. Any
other is run up to the layer each time. Both give the same outputs.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy, deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

Batches = Callable[[], Iterable[Tensor]]
"""Gives the same images, batch by batch, from the start at each call: (N, C, H, W) on the model's device."""

Pairs = Callable[[str], Iterator[tuple[Tensor, Tensor]]]
"""layer -> for each batch, what the layer puts out in the small network, still dense there, and in the dense one."""


@dataclass(frozen=True, kw_only=True)
class Networks:
    """A dense model in eval mode, its copy to be cut, the images for both, and the memory to hold their activations.

    What does not fit into `memory_bytes` is computed again when it is needed.
    """

    dense: nn.Module
    small: nn.Module
    batches: Batches
    memory_bytes: float


def paired_outputs(networks: Networks, replaced: Sequence[str], *, wanted: Sequence[str]) -> Pairs:
    """The outputs of layers in both networks, to be asked for in order, each before it is replaced in the small one.

    Args:
        networks: `small` is still a mere copy.
        replaced: all layers that are going to be replaced, in order.
        wanted: those of them whose outputs are needed.

    Raises: ValueError when there are no images, or no forward pass calls a layer.
    """
    few = next((images[:2] for images in networks.batches()), None)
    if few is None:
        raise ValueError("moments need at least one calibration image, got none")
    traced = _trace(networks.dense, few, replaced)
    if traced is None:
        return _run_again(networks, _count_calls(networks.dense, wanted, few))
    return _walk_side_by_side(networks, traced, first=replaced[0])


def _trace(model: nn.Module, images: Tensor, layers: Sequence[str]) -> fx.GraphModule | None:
    """The graph of a model; None when it gives other outputs, or does not call each layer once and in this order."""
    try:
        traced = fx.symbolic_trace(copy(model))  # a copy, as tracing leaves constants on the model
        torch.testing.assert_close(traced(images), model(images), equal_nan=True)
    except Exception:  # whatever the model's own code raises under tracing
        return None
    calls = [node.target for node in traced.graph.nodes if node.op == "call_module" and node.target in layers]
    return traced if calls == list(layers) else None


class _Walk(fx.Interpreter):
    """One batch on its way through a graph, with the modules of a network. It holds what later nodes need."""

    def __init__(self, traced: fx.GraphModule, network: nn.Module, images: Tensor) -> None:
        super().__init__(traced)
        self.network, self.nodes, self.done = network, tuple(self.graph.nodes), 0
        self.args_iter = iter([images])

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self.network.get_submodule(target)(*args, **kwargs)

    def advance(self, done: int) -> None:
        """Go on until so many nodes are done."""
        for node in self.nodes[self.done : done]:
            self.env[node] = self.run_node(node)
            for dead in self.user_to_last_uses.get(node, ()):
                del self.env[dead]
        self.done = done

    def fork(self, network: nn.Module) -> Self:
        """The same batch at the same node in another network, with values of its own: nodes may work in place."""
        other = copy(self)
        other.network, other.env = network, dict(zip(self.env, deepcopy(list(self.env.values())), strict=True))
        return other

    def held_bytes(self) -> int:
        """The memory of all tensors held, each storage counted once."""
        sizes: dict[int, int] = {}

        def note(value: Any) -> None:
            if isinstance(value, Tensor):
                sizes[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()

        map_aggregate(list(self.env.values()), note)
        return sum(sizes.values())


def _walk_side_by_side(networks: Networks, traced: fx.GraphModule, *, first: str) -> Pairs:
    """The first batches, as many as fit, wait behind a layer in the dense network and before it in the small one.

    Up to the first layer that is replaced both networks are one.
    """
    places = {node.target: place for place, node in enumerate(traced.graph.nodes) if node.op == "call_module"}
    waiting: deque[tuple[_Walk, _Walk]] = deque()
    all_wait = False

    def start(images: Tensor) -> tuple[_Walk, _Walk]:
        dense = _Walk(traced, networks.dense, images)
        dense.advance(places[first])
        return dense, dense.fork(networks.small)

    def walks() -> Iterator[tuple[_Walk, _Walk]]:
        for _ in range(count := len(waiting)):
            yield waiting.popleft()
        if not all_wait:
            yield from map(start, islice(networks.batches(), count, None))

    def pairs(layer: str) -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal all_wait
        place, held_bytes = places[layer], 0
        for dense, small in walks():
            dense.advance(place + 1)
            small.advance(place)
            node = small.nodes[place]
            yield small.run_node(node), dense.env[node]
            held_bytes += dense.held_bytes() + small.held_bytes()
            if held_bytes <= networks.memory_bytes:
                waiting.append((dense, small))
        all_wait = held_bytes <= networks.memory_bytes

    return pairs


def _run_again(networks: Networks, calls: Mapping[str, int]) -> Pairs:
    """Each batch is run up to the layer. The dense outputs come from one pass, for as many batches as fit."""
    outputs: dict[int, dict[str, Tensor]] = {}
    held_bytes = 0
    for index, images in enumerate(networks.batches()):
        outputs[index] = _last_outputs(networks.dense, images, calls)
        held_bytes += sum(output.nbytes for output in outputs[index].values())
        if held_bytes > networks.memory_bytes:
            del outputs[index]
            break

    def pairs(layer: str) -> Iterator[tuple[Tensor, Tensor]]:
        wanted = {layer: calls[layer]}
        for index, images in enumerate(networks.batches()):
            dense = outputs[index] if index in outputs else _last_outputs(networks.dense, images, wanted)
            yield _last_outputs(networks.small, images, wanted)[layer], dense.pop(layer)

    return pairs


def _count_calls(model: nn.Module, layers: Iterable[str], images: Tensor) -> Mapping[str, int]:
    """How often a forward pass calls each layer.

    Raises: ValueError when it does not call one.
    """
    calls = dict.fromkeys(layers, 0)

    def count(layer: str, _: Tensor) -> None:
        calls[layer] += 1

    with _watched(model, layers, count):
        model(images)
    for layer, number in calls.items():
        if number == 0:
            raise ValueError(f"layer {layer}: no forward pass calls it, so that it has no outputs to fit")
    return calls


class _EndOfPassError(Exception):
    """Raised behind the last layer whose outputs are wanted."""


def _last_outputs(network: nn.Module, images: Tensor, calls: Mapping[str, int]) -> dict[str, Tensor]:
    """What layers put out at their last calls; a pass ends once each was called as often as `calls` says."""
    outputs: dict[str, Tensor] = {}
    left = sum(calls.values())

    def keep(layer: str, output: Tensor) -> None:
        nonlocal left
        outputs[layer] = output.clone()  # the next layer may work in place
        left -= 1
        if left == 0:
            raise _EndOfPassError

    with _watched(network, calls, keep), suppress(_EndOfPassError):
        network(images)
    return outputs


@contextmanager
def _watched(network: nn.Module, layers: Iterable[str], see: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Let a function see the output of each call of layers, with the layer's name."""

    def watch(layer: str) -> torch.utils.hooks.RemovableHandle:
        return network.get_submodule(layer).register_forward_hook(lambda module, _, output: see(layer, output))

    handles = [watch(layer) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
