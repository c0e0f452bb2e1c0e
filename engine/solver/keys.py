"""Cache keys: what makes a piece of work the same as one done before.

There are two for each vertex. The *definition key* is known before any work: a hash over the op's cache digest and the
definition keys of its inputs, down to the sources. Where an op takes files from a local folder, the checksum of what it
takes stands for the folder. The *content key* is known when the inputs are there: the same hash, but over the checksums
of what the op takes from each input where that is defined (COPY, read-only mounts), and over the identity of the
input's result elsewhere. So a step that was run again with the same outcome costs its dependants nothing, and
a result reached over another way is still recognised.

Both say which output of the vertex's op digest they belong to through `records`, which hold all outputs of a vertex.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import field

from engine.digests import Digest
from engine.errors import EngineError
from engine.llb.definition import Edge, Vertex
from engine.ops.contract import CacheMap, Dependency, Selection
from engine.results import LocalTree
from engine.solver.services import LocalQuestion
from engine.sources.contract import Resolved
from engine.values import frozen

WHOLE = (Selection("/"),)
"""What counts of a local folder that an op uses without saying what of it."""


@frozen
class Facts:
    """What is known of the wanted vertices before any work."""

    cache_maps: Mapping[Digest, CacheMap]
    """Of the op vertices."""
    resolved: Mapping[Digest, Resolved]
    """Of the source vertices."""
    checksums: Mapping[LocalQuestion, Digest | EngineError] = field(default_factory=dict)
    unresolved: Mapping[Digest, EngineError] = field(default_factory=dict)
    """Why the other sources have no meaning now."""


@frozen
class DefinitionKeys:
    """The definition key of each vertex that has one.

    A vertex has none if it, or something it is made of, is to be done anew (`ignore_cache`), or cannot be known, such
    as a file that is not there: `problems` says then why. What is to be done anew has a key to save its result under.
    """

    keys: Mapping[Digest, str]
    save: Mapping[Digest, str]
    problems: Mapping[Digest, EngineError]


def local_questions(vertices: Iterable[Vertex], facts: Facts) -> dict[LocalQuestion, None]:
    """Which content of local folders the keys depend on, each question once."""
    out: dict[LocalQuestion, None] = {}
    for vertex in vertices:
        for edge, dependency in dependencies(vertex, facts.cache_maps):
            tree = local_tree(edge, facts)
            if tree is not None:
                out[tree, dependency.content or WHOLE] = None
    return out


def definition_keys(vertices: Iterable[Vertex], facts: Facts) -> DefinitionKeys:
    """The definition keys of vertices, given inputs before what uses them."""
    keys: dict[Digest, str] = {}
    save: dict[Digest, str] = {}
    problems: dict[Digest, EngineError] = {}
    for vertex in vertices:
        if vertex.op.source is not None:
            resolved = facts.resolved.get(vertex.digest)
            if resolved is not None and resolved.keys:
                keys[vertex.digest] = save[vertex.digest] = resolved.keys[-1]
            continue
        tokens: list[str] = []
        clean = not vertex.note.ignore_cache
        for edge, dependency in dependencies(vertex, facts.cache_maps):
            tree = local_tree(edge, facts)
            if tree is not None:
                checksum = facts.checksums[tree, dependency.content or WHOLE]
                if isinstance(checksum, EngineError):
                    problems[vertex.digest] = checksum
                    break
                tokens.append(_content_token(checksum))
            elif edge.vertex in save:
                clean = clean and edge.vertex in keys
                tokens.append(_key_token(save[edge.vertex], edge.index, dependency))
            else:
                break
        else:
            key = _hash(facts.cache_maps[vertex.digest].digest, tokens)
            save[vertex.digest] = key
            if clean:
                keys[vertex.digest] = key
    return DefinitionKeys(keys, save, problems)


def content_key(op: Digest, tokens: Iterable[str]) -> str:
    """The content key of an op whose inputs are told by `content_token` and `identity_token`."""
    return _hash(op, ["content key", *tokens])


def content_token(checksum: Digest) -> str:
    """An input told by the checksum of what the op takes from it."""
    return _content_token(checksum)


def identity_token(identity: str, index: int, dependency: Dependency) -> str:
    """An input told by which result it is."""
    return _key_token("result " + identity, index, dependency)


def dependencies(vertex: Vertex, cache_maps: Mapping[Digest, CacheMap]) -> list[tuple[Edge, Dependency]]:
    """The inputs of an op vertex with how each counts."""
    cache_map = cache_maps.get(vertex.digest)
    if cache_map is None:
        return []
    plain = (Dependency(),) * (len(vertex.op.inputs) - len(cache_map.dependencies))
    return list(zip(vertex.inputs, cache_map.dependencies + plain, strict=True))


def local_tree(edge: Edge, facts: Facts) -> LocalTree | None:
    """The folder behind an input, if it is one."""
    resolved = facts.resolved.get(edge.vertex)
    return resolved.result if resolved is not None and isinstance(resolved.result, LocalTree) else None


def _content_token(checksum: Digest) -> str:
    return f"content {checksum}"


def _key_token(key: str, index: int, dependency: Dependency) -> str:
    return f"{key}@{index} {dependency.selector or ''}"


def _hash(op: Digest, tokens: Iterable[str]) -> str:
    return hashlib.sha256("\n".join([op, *tokens]).encode()).hexdigest()
