"""Sizes of results by layer: which layers are big, and which of them several targets share."""

from __future__ import annotations

from collections import Counter

from bakery.history.record import RecordedBuild, RecordedLayer
from bakery.values import frozen


@frozen
class Layer:
    """One layer of one target; `part` of the target's bytes, and how many results of the build have it."""

    by: str
    size: int
    packed: int
    part: float
    shared: int


@frozen
class Stack:
    """The layers of one target on one platform, the lowest first. `size` in bytes on disk."""

    target: str
    platform: str
    size: int
    layers: tuple[Layer, ...]


def stacks(build: RecordedBuild) -> list[Stack]:
    """Every result that has layers, the biggest first."""
    chains = [(t.name, platform, chain) for t in build.targets.values() for platform, chain in t.layers.items()]
    uses = Counter(layer.id for _, _, chain in chains for layer in chain)
    found = [_stack(name, platform, chain, uses) for name, platform, chain in chains if chain]
    return sorted(found, key=lambda stack: -stack.size)


def distinct_size(build: RecordedBuild) -> int:
    """Bytes of all layers of all results, each counted once."""
    layers = {layer.id: layer for t in build.targets.values() for chain in t.layers.values() for layer in chain}
    return sum(_bytes(layer) for layer in layers.values())


def _stack(name: str, platform: str, chain: tuple[RecordedLayer, ...], uses: Counter[str]) -> Stack:
    size = sum(map(_bytes, chain))
    layers = tuple(Layer(x.by, _bytes(x), x.packed, _bytes(x) / size if size else 0.0, uses[x.id]) for x in chain)
    return Stack(name, platform, size, layers)


def _bytes(layer: RecordedLayer) -> int:
    """Bytes on disk; of a layer that was never unpacked here, as it is packed."""
    return layer.size or layer.packed
