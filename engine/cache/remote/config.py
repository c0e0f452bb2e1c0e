"""BuildKit's cache config: the document that says which cache keys stand for which layers. Read with suspicion.

Format `application/vnd.buildkit.cacheconfig.v0` (buildkit.md §6; the peer's `cache/remotecache/v1/types`). A record is
a cache key: its digest and, for each input, alternatives of other records that the input may be. Its results name
layers: `layers` the topmost one, the rest follows by `parent`; `chains` all of them. In `parent`, 0 is written by
leaving it out and -1 means none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine import oci
from engine.digests import Digest, parse_digest
from engine.errors import SourceError
from engine.exporters.gotime import nanoseconds
from engine.values import frozen

MEDIA_TYPE = "application/vnd.buildkit.cacheconfig.v0"
PEER_LIMIT = 1 << 20
"""Bytes of a config beyond which BuildKit refuses to import it."""
MAX_CONFIG = 16 << 20
"""Bytes of a config that are read at most."""
MAX_RECORDS = 100_000
MOUNTS_KEY = "bakery.mounts"
"""Where cache mounts are in a config."""
MAX_CHAIN = oci.MAX_LAYERS
"""Layers of one result that are believed at most."""
NO_PARENT = -1
NO_TIME = "0001-01-01T00:00:00Z"
"""What Go writes for a time that is not set."""


class MalformedCache(SourceError):
    """A cache config that is not what it should be."""


@frozen
class LayerFacts:
    """What a config says of a layer's blob where no manifest does: in caches that are no images (gha, s3)."""

    media_type: str
    diff_id: Digest
    size: int
    created: str = NO_TIME


@frozen
class CacheLayer:
    """A blob on top of another layer of the same config."""

    blob: Digest
    parent: int = NO_PARENT
    facts: LayerFacts | None = None


@frozen
class CacheLink:
    """One alternative for an input: the record of that number, seen through a selector."""

    record: int
    selector: str = ""


@frozen
class CacheResult:
    """A result: the numbers of its layers, the lowest first, and when it was made (RFC 3339)."""

    layers: tuple[int, ...]
    created: str


@frozen
class CacheRecord:
    """One cache key with what is known under it; a record without results is only a way to others."""

    digest: Digest
    inputs: tuple[tuple[CacheLink, ...], ...] = ()
    results: tuple[CacheResult, ...] = ()


@frozen
class MountContent:
    """What a cache mount holds, as a tar. BuildKit knows no such thing, and passes over it."""

    cache: str
    blob: Digest
    facts: LayerFacts


@frozen
class CacheConfig:
    """A whole config. Made by `parse_config`, it has no cycles and no number that names nothing."""

    layers: tuple[CacheLayer, ...] = ()
    records: tuple[CacheRecord, ...] = ()
    mounts: tuple[MountContent, ...] = ()

    def chain(self, top: int) -> tuple[int, ...]:
        """The layers from the lowest to `top`."""
        chain = [top]
        while (parent := self.layers[chain[-1]].parent) != NO_PARENT:
            chain.append(parent)
        return tuple(reversed(chain))


# ---------------------------------------------------------------- reading


def parse_config(data: bytes) -> CacheConfig:
    """A config from its bytes.

    Raises:
        MalformedCache: if it is no config, contradicts itself or is too big.
    """
    if len(data) > MAX_CONFIG:
        raise MalformedCache(f"a cache config of {len(data)} bytes is more than the {MAX_CONFIG} allowed")
    document = _typed(_load(data), dict, "the cache config")
    layers = tuple(_layer(item) for item in _items(document, "layers"))
    _check_layers(layers)
    config = _with_records(layers, _items(document, "records"))
    return CacheConfig(config.layers, config.records, tuple(_mount(item) for item in _items(document, MOUNTS_KEY)))


def parse_inline(data: bytes, blobs: Sequence[Digest]) -> CacheConfig:
    """A config from the records that an image carries; its layers are those of the image, each on the one before.

    Raises:
        MalformedCache: as `parse_config`.
    """
    layers = tuple(CacheLayer(blob, number - 1) for number, blob in enumerate(blobs))
    return _with_records(layers, _typed(_load(data) or [], list, "the list of cache records"))


def _with_records(layers: tuple[CacheLayer, ...], items: list[Any]) -> CacheConfig:
    if len(items) > MAX_RECORDS:
        raise MalformedCache(f"a cache config has {len(items)} records, more than the {MAX_RECORDS} allowed")
    bare = CacheConfig(layers)
    records = tuple(_record(_typed(item, dict, "a cache record"), bare, len(items)) for item in items)
    _check_cycles([[link.record for links in record.inputs for link in links] for record in records], "records")
    return CacheConfig(layers, records)


def _load(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedCache(f"the cache config is not JSON: {error}") from error


def _layer(item: Any) -> CacheLayer:
    fields = _typed(item, dict, "a layer of a cache")
    return CacheLayer(
        _digest(fields.get("blob")),
        _typed(fields.get("parent", 0), int, "the parent of a layer"),
        _facts(fields["annotations"]) if fields.get("annotations") else None,
    )


def _facts(value: Any) -> LayerFacts | None:
    fields = _typed(value, dict, "the annotations of a layer")
    if not fields.get("diffID"):
        return None
    return LayerFacts(
        _typed(fields.get("mediaType", ""), str, "a media type"),
        _digest(fields["diffID"]),
        _typed(fields.get("size", 0), int, "the size of a layer"),
        _time(fields.get("createdAt")),
    )


def _mount(item: Any) -> MountContent:
    fields = _typed(item, dict, "a cache mount")
    facts = _facts(fields)
    if facts is None:
        raise MalformedCache("a cache mount in the cache config has no diffID")
    return MountContent(_typed(fields.get("cache"), str, "the ID of a cache mount"), _digest(fields.get("blob")), facts)


def _check_layers(layers: Sequence[CacheLayer]) -> None:
    for number, layer in enumerate(layers):
        if layer.parent != NO_PARENT and not 0 <= layer.parent < len(layers):
            raise MalformedCache(f"layer {number} of the cache has no layer {layer.parent} as its parent")
    _check_cycles([[layer.parent] if layer.parent != NO_PARENT else [] for layer in layers], "layers")


def _record(fields: dict[str, Any], config: CacheConfig, count: int) -> CacheRecord:
    inputs = tuple(
        tuple(_link(link, count) for link in _typed(links, list, "an input of a record"))
        for links in _items(fields, "inputs")
    )
    if not all(inputs):
        raise MalformedCache("a cache record has an input that can be nothing")
    results = [_result(item, config) for item in _items(fields, "layers")]
    results += [_chained(item, config) for item in _items(fields, "chains")]
    return CacheRecord(_digest(fields.get("digest")), inputs, tuple(results))


def _link(item: Any, count: int) -> CacheLink:
    fields = _typed(item, dict, "a link of a record")
    number = _typed(fields.get("link", 0), int, "the link of a record")
    if not 0 <= number < count:
        raise MalformedCache(f"a cache record names record {number} of {count}")
    return CacheLink(number, _typed(fields.get("selector", ""), str, "a selector"))


def _result(item: Any, config: CacheConfig) -> CacheResult:
    fields = _typed(item, dict, "a result of a record")
    top = _known_layer(fields.get("layer", 0), config)
    return CacheResult(_bounded(config.chain(top)), _time(fields.get("createdAt")))


def _chained(item: Any, config: CacheConfig) -> CacheResult:
    fields = _typed(item, dict, "a result of a record")
    layers = tuple(_known_layer(number, config) for number in _items(fields, "layers"))
    return CacheResult(_bounded(layers), _time(fields.get("createdAt")))


def _known_layer(number: Any, config: CacheConfig) -> int:
    known: int = _typed(number, int, "the layer of a result")
    if not 0 <= known < len(config.layers):
        raise MalformedCache(f"a cache record names layer {known} of {len(config.layers)}")
    return known


def _bounded(layers: tuple[int, ...]) -> tuple[int, ...]:
    if len(layers) > MAX_CHAIN:
        raise MalformedCache(f"a result of the cache has {len(layers)} layers, more than the {MAX_CHAIN} allowed")
    return layers


def _check_cycles(targets: Sequence[Sequence[int]], what: str) -> None:
    """Raises MalformedCache if following the numbers from one entry can lead back to it. Nothing recurses."""
    waiting = [len(of) for of in targets]
    users: list[list[int]] = [[] for _ in targets]
    for number, of in enumerate(targets):
        for target in of:
            users[target].append(number)
    ready = [number for number, count in enumerate(waiting) if not count]
    done = 0
    while ready:
        done += 1
        for user in users[ready.pop()]:
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    if done != len(targets):
        raise MalformedCache(f"the {what} of the cache lead back to themselves")


def _items(fields: Mapping[str, Any], key: str) -> list[Any]:
    items: list[Any] = _typed(fields.get(key) or [], list, key)
    return items


def _typed(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise MalformedCache(f"{what} in the cache config is {type(value).__name__}, not {kind.__name__}")
    return value


def _digest(value: Any) -> Digest:
    try:
        return parse_digest(_typed(value, str, "a digest"))
    except ValueError as error:
        raise MalformedCache(f"the cache config is malformed: {error}") from error


def _time(value: Any) -> str:
    try:
        nanoseconds(value or NO_TIME)
    except (ValueError, TypeError) as error:
        raise MalformedCache(f"the cache config is malformed: {error}") from error
    return value or NO_TIME


# ---------------------------------------------------------------- writing


def config_bytes(config: CacheConfig) -> bytes:
    """A config as BuildKit writes it."""
    fields: dict[str, Any] = {}
    if config.layers:
        fields["layers"] = [_layer_fields(layer) for layer in config.layers]
    if config.records:
        fields["records"] = list(record_fields(config))
    if config.mounts:
        fields[MOUNTS_KEY] = [{"cache": m.cache, "blob": m.blob, **_fact_fields(m.facts)} for m in config.mounts]
    return oci.go_json(fields)


def inline_bytes(config: CacheConfig) -> bytes:
    """The records alone, as an image carries them; their layers are named by position in the image."""
    return oci.go_json(list(record_fields(config)))


def record_fields(config: CacheConfig) -> Iterator[dict[str, Any]]:
    """The records as JSON fields, in the order of Go's struct."""
    for record in config.records:
        fields: dict[str, Any] = {}
        simple = [r for r in record.results if r.layers and config.chain(r.layers[-1]) == r.layers]
        if simple:
            fields["layers"] = [{"layer": r.layers[-1], "createdAt": r.created} for r in simple]
        if chained := [r for r in record.results if r.layers and r not in simple]:
            fields["chains"] = [{"layers": list(r.layers), "createdAt": r.created} for r in chained]
        fields["digest"] = record.digest
        if record.inputs:
            fields["inputs"] = [[_link_fields(link) for link in links] for links in record.inputs]
        yield fields


def _layer_fields(layer: CacheLayer) -> dict[str, Any]:
    fields: dict[str, Any] = {"blob": layer.blob}
    if layer.parent:
        fields["parent"] = layer.parent
    if layer.facts:
        fields["annotations"] = _fact_fields(layer.facts)
    return fields


def _fact_fields(facts: LayerFacts) -> dict[str, Any]:
    return {
        "mediaType": facts.media_type,
        "diffID": facts.diff_id,
        "size": facts.size,
        "createdAt": facts.created,
    }


def _link_fields(link: CacheLink) -> dict[str, Any]:
    return {"selector": link.selector, "link": link.record} if link.selector else {"link": link.record}
