"""YAML texts to trees that know their places.

Built from libyaml's events without recursion: its own composer recurses in C and dies on deep nesting. Aliases share
nodes; what they would expand to is counted, so that a small file cannot stand for a huge one. Plain scalars are what
Compose's reader takes them for: `yes` and `on` are text; `0o17`, `017` and `1_000` are numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bakery.config.hcl.source import Source
from bakery.diagnostics import BakeryError, SourceFile, Span

MAX_DEPTH = 200
"""Levels of nesting."""

MAX_NODES = 1_000_000
"""Nodes of one document after aliases are followed."""

_INT = re.compile(r"([-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+)|(?P<d>0|[1-9][0-9]*))")
_BASES = {"x": 16, "b": 2, "o": 8, "d": 10}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})


@dataclass(eq=False, slots=True)
class YamlNode:
    """A scalar, list or map of a YAML file.

    `value` is None, bool, int, float, str, a list of nodes, or a dict of nodes by key. `text` is a scalar as written.
    `tag` is an explicit tag (`!reset`), or empty. `keys` has the places of a map's keys.
    """

    source: Source
    start: int
    end: int
    value: Any = None
    text: str = ""
    tag: str = ""
    keys: dict[str, YamlNode] = field(default_factory=dict)
    size: int = 1

    @property
    def span(self) -> Span:
        """Where the node stands."""
        return self.source.span(self.start, self.end)

    @property
    def is_map(self) -> bool:
        """Whether this is a map."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether this is a list."""
        return isinstance(self.value, list)

    def key_span(self, key: str) -> Span:
        """Where a key of a map stands; the map if the key came from elsewhere."""
        found = self.keys.get(key)
        return found.span if found is not None else self.span

    def with_value(self, value: Any) -> YamlNode:
        """A node at the same place with another value."""
        return YamlNode(self.source, self.start, self.end, value, self.text, self.tag, self.keys, self.size)


def read_yaml(file: SourceFile) -> list[YamlNode]:
    """All documents of a file; an empty file has none. Raises BakeryError at what is not YAML."""
    import yaml

    source = Source(file)
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return list(_documents(yaml.parse(file.text, Loader=loader), source))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = min(mark.index, len(file.text)) if mark is not None else 0
        line_end = file.text.find("\n", at)
        end = min(at + 1, len(file.text) if line_end < 0 else max(line_end, at))
        raise BakeryError.of(
            "failed to parse YAML", (error.problem or str(error)).strip(), source.span(at, end)
        ) from None
    except yaml.YAMLError as error:
        raise _unprintable(str(error).splitlines()[0], source) from None


def _unprintable(problem: str, source: Source) -> BakeryError:
    """The error for a text that libyaml does not begin to read: it has a character that no YAML may have."""
    found = _NO_YAML.search(source.text)
    if found is None:
        return BakeryError.of("failed to parse YAML", f"{source.file.name}: {problem}")
    detail = f"the control character U+{ord(found[0]):04X} cannot stand here"
    hint = f'write it as "\\x{ord(found[0]):02X}" in double quotes, or take it out'
    return BakeryError.of("failed to parse YAML", detail, source.span(*found.span()), hint)


def _documents(events: Any, source: Source) -> Iterator[YamlNode]:
    import yaml

    anchors: dict[str, YamlNode] = {}
    open_nodes: list[_Open] = []
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            anchors = {}
            continue
        if isinstance(event, yaml.AliasEvent):
            node = anchors.get(event.anchor or "")
            if node is None:
                raise _error("failed to parse YAML", f'unknown anchor "{event.anchor}"', source, event)
        elif isinstance(event, yaml.ScalarEvent):
            node = _scalar(event, source)
            if event.anchor:
                anchors[event.anchor] = node
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(open_nodes) >= MAX_DEPTH:
                raise _error("YAML is too deep", f"more than {MAX_DEPTH} levels", source, event)
            kind: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            node = YamlNode(source, *_range(event), kind, tag=event.tag or "")
            # An anchor is known only when its node is complete: a node cannot contain itself.
            open_nodes.append(_Open(node, event.anchor))
            continue
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = open_nodes.pop()
            node = closed.finish(_range(event)[1])
            if closed.anchor:
                anchors[closed.anchor] = node
        else:
            continue
        if open_nodes:
            open_nodes[-1].add(node)
        else:
            yield node


class _Open:
    """A list or map that is still being read."""

    def __init__(self, node: YamlNode, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.key: YamlNode | None = None
        self.merged: list[YamlNode] = []

    def _count(self, child: YamlNode) -> None:
        self.node.size += child.size
        if self.node.size > MAX_NODES:
            raise BakeryError.of("YAML is too large", f"aliases expand to more than {MAX_NODES} nodes", child.span)

    def add(self, child: YamlNode) -> None:
        """Take the next node within this one: an item, a key or a value."""
        node = self.node
        self._count(child)
        if node.is_list:
            node.value.append(child)
        elif self.key is None:
            if not isinstance(child.value, list | dict):
                self.key = child
                return
            raise BakeryError.of("failed to parse YAML", "a key must be a plain value", child.span)
        else:
            key, self.key = self.key, None
            if key.text == "<<" and not key.tag:
                self.merged.extend(child.value if child.is_list else [child])
                return
            if key.text in node.value:
                raise BakeryError.of("failed to parse YAML", f'mapping key "{key.text}" is already defined', key.span)
            node.value[key.text] = child
            node.keys[key.text] = key

    def finish(self, end: int) -> YamlNode:
        """The complete node, merge keys (`<<`) followed."""
        self.node.end = max(end, self.node.end)
        for base in self.merged:
            if not base.is_map:
                raise BakeryError.of("failed to parse YAML", "a map is required for a merge", base.span)
            for key, child in base.value.items():
                if key not in self.node.value:
                    self._count(child)
                    self.node.value[key] = child
                    if key in base.keys:
                        self.node.keys[key] = base.keys[key]
        return self.node


def _scalar(event: Any, source: Source) -> YamlNode:
    text = event.value
    tag = event.tag or ""
    if tag == "tag:yaml.org,2002:str" or tag == "!" or (event.style and event.style != ""):
        value: Any = text
    else:
        value = _plain(text)
    return YamlNode(source, *_range(event), value, text, tag)


def _plain(text: str) -> Any:
    if text in _NULLS:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    first = text[0]
    if not (first.isdigit() or first in "+-."):
        return text
    whole = _INT.fullmatch(text.replace("_", "")) if len(text) < 1000 else None
    if whole is not None:
        number = int(whole[1] + whole[whole.lastgroup or "d"], _BASES[whole.lastgroup or "d"])
        return number if number or first != "-" else -0.0
    if len(text) < 1000 and _FLOAT.fullmatch(text) and not math.isinf(float(text)):
        return float(text)
    return text


def _range(event: Any) -> tuple[int, int]:
    return event.start_mark.index, event.end_mark.index


def _error(summary: str, detail: str, source: Source, event: Any) -> BakeryError:
    return BakeryError.of(summary, detail, source.span(*_range(event)))


def plain_text(node: YamlNode) -> str | None:
    """A scalar as text: numbers in shortest form, as Compose prints them; None for null. Raises BakeryError."""
    value = node.value
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _go_float(value)
    if isinstance(value, int | str):
        return str(value)
    raise BakeryError.of(
        "Invalid value", f"a text is required, but have a {'map' if node.is_map else 'list'}", node.span
    )


def _go_float(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else ("+Inf" if value > 0 else "-Inf")
    exponent = f"{value:e}".split("e")[1]
    if -4 <= int(exponent) < 21:
        text = f"{value:.20f}".rstrip("0").rstrip(".") if abs(value) >= 1e16 else repr(value).removesuffix(".0")
        return text if "e" not in text else f"{value:.20f}".rstrip("0")
    return repr(value)
