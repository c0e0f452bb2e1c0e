"""Several Compose documents as one: interpolated, in long form, and merged service by service."""

from __future__ import annotations

from collections.abc import Callable, Collection

from bakery.config.compose.interpolate import Lookup, MalformedError, substitute
from bakery.config.yaml_nodes import YamlNode, plain_text
from bakery.diagnostics import BakeryError

_MAPS = frozenset({"args", "labels", "additional_contexts", "extra_hosts", "environment", "ssh"})
"""Keys that may be written as a list of `KEY=value` and are maps in truth."""

_UNIQUE = frozenset({"tags", "platforms", "cache_from", "cache_to", "env_file"})
"""Lists whose repeated members count once when documents merge."""

MAX_EXTENDS = 50
"""Services that extend each other in a row."""

OpenFile = Callable[[str, YamlNode], "Services"]
"""The services of another file that an `extends` names."""


def interpolated(node: YamlNode, lookup: Lookup, path: tuple[str, ...] = ()) -> YamlNode:
    """A copy with all references in texts replaced; keys stay. Raises BakeryError."""
    if node.is_map:
        return node.with_value({key: interpolated(child, lookup, (*path, key)) for key, child in node.value.items()})
    if node.is_list:
        return node.with_value([interpolated(child, lookup, (*path, "[]")) for child in node.value])
    if not isinstance(node.value, str) or "$" not in node.value:
        return node
    where = ".".join(path)
    try:
        return node.with_value(substitute(node.value, lookup))
    except MalformedError as error:
        raise BakeryError.of(f"invalid interpolation format for {where}.", str(error), node.span) from None
    except ValueError as error:
        raise BakeryError.of(f"error while interpolating {where}", str(error), node.span) from None


def long_form(service: YamlNode, name: str) -> YamlNode:
    """A service whose short forms are spelled out: `build: dir`, lists of pairs, lone strings for lists."""
    if not service.is_map:
        raise BakeryError.of(f"services.{name} must be a mapping", "a service is a map of its settings", service.span)
    value = dict(service.value)
    build = value.get("build")
    if build is not None and isinstance(build.value, str):
        value["build"] = build.with_value({"context": build})
    elif build is not None and build.is_map:
        value["build"] = build.with_value({key: _as_map(key, child) for key, child in build.value.items()})
    if "environment" in value:
        value["environment"] = _as_map("environment", value["environment"])
    if "env_file" in value and not value["env_file"].is_list:
        value["env_file"] = value["env_file"].with_value([value["env_file"]])
    return service.with_value(value)


def _as_map(key: str, node: YamlNode) -> YamlNode:
    if key not in _MAPS or not node.is_list:
        return node
    pairs: dict[str, YamlNode] = {}
    for item in node.value:
        text = plain_text(item) or ""
        name, sign, rest = text.partition("=")
        if key == "extra_hosts" and not sign:
            name, sign, rest = text.partition(":")
        value = item.with_value(rest if sign else None)
        if key == "extra_hosts" and name in pairs:
            value = value.with_value(f"{pairs[name].value},{rest}")
        pairs[name] = value
    return node.with_value(pairs)


def merged(earlier: YamlNode, later: YamlNode, key: str = "") -> YamlNode:
    """One node over another: maps key by key, lists appended, everything else replaced; `!reset` and `!override`."""
    if later.tag == "!override":
        return later
    if earlier.is_map and later.is_map:
        value = dict(earlier.value)
        for name, child in later.value.items():
            if child.tag == "!reset":
                value.pop(name, None)
            else:
                value[name] = merged(value[name], child, name) if name in value else child
        both = later.with_value(value)
        both.keys = {**earlier.keys, **later.keys}
        return both
    if earlier.is_list and later.is_list:
        return later.with_value(_appended(earlier.value, later.value, key))
    return later


def _appended(earlier: list[YamlNode], later: list[YamlNode], key: str) -> list[YamlNode]:
    if key == "secrets":
        return list({_source(item): item for item in [*earlier, *later]}.values())
    if key in _UNIQUE:
        return _unique(earlier, later)
    return [*earlier, *later]


def _unique(earlier: list[YamlNode], later: list[YamlNode]) -> list[YamlNode]:
    kept: dict[object, YamlNode] = {}
    for item in [*earlier, *later]:
        kept.setdefault(_identity(item), item)
    return list(kept.values())


def _identity(item: YamlNode) -> object:
    return id(item) if item.is_map or item.is_list else item.value


def _source(item: YamlNode) -> object:
    if item.is_map:
        source = item.value.get("source")
        return source.value if source is not None else id(item)
    return item.value


class Services:
    """The services of one project with `extends` followed."""

    def __init__(self, services: dict[str, YamlNode], open_file: OpenFile) -> None:
        self._services = services
        self._open_file = open_file
        self._done: dict[str, YamlNode] = {}

    @property
    def names(self) -> Collection[str]:
        """All services there are."""
        return self._services.keys()

    def extended(self, name: str, path: tuple[str, ...] = ()) -> YamlNode:
        """A service laid over the one it extends. Raises BakeryError."""
        if name in self._done:
            return self._done[name]
        service = self._services[name]
        extends = service.value.get("extends")
        if extends is None:
            return service
        # In another file a service of the same name is another service.
        path = (*path, f"{service.source.file.name}: {name}")
        if path[-1] in path[:-1] or len(path) > MAX_EXTENDS:
            raise BakeryError.of("Circular reference", f"services extend each other: {' → '.join(path)}", extends.span)
        base_name, file = _base(extends)
        if file is None:
            if base_name not in self._services:
                raise BakeryError.of(
                    f'cannot extend service "{name}" in {extends.source.file.name}',
                    f'service "{base_name}" not found',
                    extends.span,
                )
            base = self.extended(base_name, path)
        else:
            others = self._open_file(file, extends)
            if base_name not in others.names:
                raise BakeryError.of("cannot extend", f'service "{base_name}" not found in {file}', extends.span)
            base = others.extended(base_name, path)
        result = merged(base, service)
        self._done[name] = result
        return result


def _base(extends: YamlNode) -> tuple[str, str | None]:
    if not extends.is_map:
        return plain_text(extends) or "", None
    service, file = extends.value.get("service"), extends.value.get("file")
    if service is None:
        raise BakeryError.of("extends requires service", "", extends.span)
    return plain_text(service) or "", plain_text(file) if file is not None else None
