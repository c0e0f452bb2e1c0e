"""One merged Compose service to a target draft: what its `build` section says, and `x-bake` within it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bakery.config.attributes import ATTRIBUTES, Kind
from bakery.config.compose.interpolate import Lookup
from bakery.config.decode import tidy_entries
from bakery.config.draft import TargetDraft, distinct
from bakery.config.entries import PARSERS, attest_of, parse_attest
from bakery.config.finish import parse_size
from bakery.config.paths import is_local
from bakery.config.target import AttestEntry, SecretEntry, SSHEntry
from bakery.config.textforms import clean_path, parse_bool, yaml_bool
from bakery.config.yaml_nodes import YamlNode, plain_text
from bakery.diagnostics import BakeryError, Diagnostic, Severity

_X_BAKE = frozenset(
    {
        "tags",
        "cache-from",
        "cache-to",
        "secret",
        "ssh",
        "platforms",
        "output",
        "no-cache-filter",
        "pull",
        "no-cache",
        "contexts",
    }
)


@dataclass(slots=True)
class Project:
    """What services need of the project around them."""

    secrets: Mapping[str, YamlNode]
    lookup: Lookup
    environments: Mapping[str, Mapping[str, str]]
    """What each service sets in its environment, files included."""
    warnings: list[Diagnostic]


def target_name(service: str) -> str:
    """The target of a service: dots cannot be in target names."""
    return service.replace(".", "_")


def service_draft(name: str, service: YamlNode, project: Project) -> TargetDraft:
    """The draft of a service that has a `build` section. Raises BakeryError."""
    draft = TargetDraft(target_name(name), span=service.span)
    _Reader(name, service, service.value["build"], project, draft).read()
    return draft


class _Reader:
    def __init__(self, name: str, service: YamlNode, build: YamlNode, project: Project, draft: TargetDraft) -> None:
        self.name = name
        self.service = service
        self.build = build
        self.project = project
        self.draft = draft

    def read(self) -> None:
        """Fill the draft."""
        for key, attribute in (
            ("dockerfile", "dockerfile"),
            ("dockerfile_inline", "dockerfile-inline"),
            ("target", "target"),
            ("network", "network"),
        ):
            self._set(attribute, key, lambda node: plain_text(node) or None)
        self._set("context", "context", lambda node: self._at_home(plain_text(node) or "") or None)
        self._set("shm-size", "shm_size", _size)
        self._set("no-cache", "no_cache", self._truth)
        self._set("pull", "pull", self._truth)
        self._set("platforms", "platforms", _texts)
        self._set("tags", "tags", _texts)
        self._set("labels", "labels", lambda node: {key: plain_text(item) or "" for key, item in _items(node)})
        self._set("args", "args", self._args)
        self._set("contexts", "additional_contexts", lambda node: _contexts(node, self._local))
        self._set("extra-hosts", "extra_hosts", _hosts)
        self._set("ulimits", "ulimits", _ulimits)
        self._set("cache-from", "cache_from", lambda node: _entries("cache-from", node))
        self._set("cache-to", "cache_to", lambda node: _entries("cache-to", node))
        self._set("secret", "secrets", self._secrets)
        self._set("ssh", "ssh", _ssh)
        attests = [*self._attest("sbom"), *self._attest("provenance")]
        if attests:
            self.draft.values["attest"] = attests
        extension = self.build.value.get("x-bake")
        if extension is not None and extension.value is not None:
            self._x_bake(extension)
        image = self.service.value.get("image")
        if image is not None and plain_text(image) and not self.draft.values.get("tags"):
            self._put("tags", [plain_text(image)], image)

    def _put(self, attribute: str, value: Any, node: YamlNode) -> None:
        self.draft.values[attribute] = value
        self.draft.places[attribute] = node

    def _set(self, attribute: str, key: str, read: Callable[[YamlNode], Any]) -> None:
        node = self.build.value.get(key)
        if node is None or node.value is None:
            return
        try:
            value = read(node)
        except ValueError as error:
            raise BakeryError.of(f"services.{self.name}.build.{key}", str(error), node.span) from None
        if value is not None and value != []:
            self._put(attribute, value, node)

    def _truth(self, node: YamlNode) -> bool | None:
        # A false here is Compose's default and means "not set", so that bake files may still say otherwise.
        return True if _bool(node) else None

    def _args(self, node: YamlNode) -> dict[str, str]:
        environment = self.project.environments[self.name]
        args: dict[str, str] = {}
        for key, item in _items(node):
            text = plain_text(item)
            if text is None:
                text = environment.get(key)
            if text is None:
                text = self.project.lookup(key)
            if text is not None:
                args[key] = text
        return args

    def _secrets(self, node: YamlNode) -> list[SecretEntry]:
        found = []
        for item in _list(node):
            source = (plain_text(item.value["source"]) if item.is_map else plain_text(item)) or ""
            declared = self.project.secrets[source].value
            file, variable = declared.get("file"), declared.get("environment")
            if file is not None:
                found.append(SecretEntry(source, src=clean_path(self._at_home(plain_text(file) or ""))))
            else:
                found.append(SecretEntry(source, env=(plain_text(variable) if variable is not None else "") or ""))
        return found

    def _local(self, path: str) -> str:
        return clean_path(self._at_home(path))

    def _at_home(self, path: str) -> str:
        """A path with `~` for the home folder replaced, as a shell would."""
        home = self.project.lookup("HOME")
        return posixpath.join(home, path[1:].lstrip("/")) if path.startswith("~") and home else path

    def _attest(self, key: str) -> list[AttestEntry]:
        node = self.build.value.get(key)
        if node is None or node.value is None:
            return []
        text = plain_text(node) or ""
        self.draft.places["attest"] = node
        try:
            try:
                return [attest_of({"type": key, **({} if parse_bool(text) else {"disabled": "true"})})]
            except ValueError:
                return parse_attest(f"type={key},{text}")
        except ValueError as error:
            raise BakeryError.of(f"services.{self.name}.build.{key}", str(error), node.span) from None

    # --- x-bake ---

    def _x_bake(self, extension: YamlNode) -> None:
        if not extension.is_map:
            raise BakeryError.of(f"services.{self.name}.build.x-bake must be a mapping", "", extension.span)
        for key, node in extension.value.items():
            if key not in _X_BAKE:
                self.project.warnings.append(
                    Diagnostic("Unknown x-bake key", f'"{key}" is ignored', extension.key_span(key), Severity.WARNING)
                )
            elif node.value is not None:
                try:
                    self._extend(key, node)
                except ValueError as error:
                    raise BakeryError.of(f"services.{self.name}.build.x-bake.{key}", str(error), node.span) from None

    def _extend(self, key: str, node: YamlNode) -> None:
        attribute, values = ATTRIBUTES[key], self.draft.values
        if attribute.kind is Kind.BOOL:
            value: Any = _bool(node)
        elif attribute.kind is Kind.MAP:
            value = {**_contexts(node, str), **values.get(key, {})}
        elif attribute.kind is Kind.ENTRIES:
            value = tidy_entries(attribute, [*values.get(key, []), *_entries(key, node)])
            if key == "ssh":
                value.sort(key=lambda entry: entry.id)
        else:
            value = distinct([*values.get(key, []), *_words(node)])
        if value != []:
            self._put(key, value, node)


def _items(node: YamlNode) -> list[tuple[str, YamlNode]]:
    if not node.is_map:
        raise ValueError("must be a mapping or a list of KEY=value")
    return list(node.value.items())


def _list(node: YamlNode) -> list[YamlNode]:
    if not node.is_list:
        raise ValueError("must be a list")
    items: list[YamlNode] = node.value
    return items


def _texts(node: YamlNode) -> list[str]:
    return distinct(text for text in map(plain_text, _list(node)) if text)


def _words(node: YamlNode) -> list[str]:
    return _texts(node) if node.is_list else (plain_text(node) or "").split()


def _bool(node: YamlNode) -> bool:
    return yaml_bool(plain_text(node) or "")


def _entries(key: str, node: YamlNode) -> list[Any]:
    return tidy_entries(ATTRIBUTES[key], [entry for text in _words(node) for entry in PARSERS[key](text)])


def _contexts(node: YamlNode, local: Callable[[str], str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, item in _items(node):
        where = plain_text(item) or ""
        if where.startswith(("service:", "target:")):
            where = f"target:{target_name(where.partition(':')[2])}"
        elif where and is_local(where):
            where = local(where)
        found[name] = where
    return found


def _hosts(node: YamlNode) -> dict[str, str]:
    return {
        name: ",".join(plain_text(part) or "" for part in item.value) if item.is_list else plain_text(item) or ""
        for name, item in _items(node)
    }


def _ulimits(node: YamlNode) -> list[str]:
    found = []
    for name, item in sorted(_items(node)):
        if item.is_map:
            soft, hard = (item.value.get(key) for key in ("soft", "hard"))
            if soft is None or hard is None:
                raise ValueError(f"{name} needs soft and hard")
            found.append(f"{name}={plain_text(soft)}:{plain_text(hard)}")
        else:
            # The peer reads the single form as 0:0.
            found.append(f"{name}={plain_text(item)}:{plain_text(item)}")
    return found


def _ssh(node: YamlNode) -> list[SSHEntry]:
    if isinstance(node.value, str):
        return [SSHEntry(node.value)]
    entries = [SSHEntry(name, (clean_path(path),) if (path := plain_text(item)) else ()) for name, item in _items(node)]
    return sorted(entries, key=lambda entry: entry.id)


def _size(node: YamlNode) -> str | None:
    text = plain_text(node) or ""
    size = parse_size(text)
    if size is None:
        raise ValueError(f'invalid size "{text}"')
    return shown_size(size) if size else None


def shown_size(size: int) -> str:
    """Bytes in the largest fitting binary unit with four significant digits, as Docker prints them."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if amount < 1024 or unit == "PiB":
            return f"{amount:.4g}{unit}"
        amount /= 1024
    raise AssertionError
