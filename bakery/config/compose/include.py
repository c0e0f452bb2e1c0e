"""Compose documents to one model: services and secrets, with `include` and `extends` followed."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from bakery.config.compose.dotenv import parse_dotenv
from bakery.config.compose.files import ReadFile, joined, rebased_secret, rebased_service
from bakery.config.compose.merge import Services, interpolated, long_form, merged
from bakery.config.compose.running import running_problems
from bakery.config.textforms import clean_path
from bakery.config.yaml_nodes import YamlNode, plain_text, read_yaml
from bakery.diagnostics import BakeryError, SourceFile, Span

MAX_INCLUDES = 1000
"""Files that one project may include."""

_RESET = "!reset"
_READ = frozenset({"include", "name", "secrets", "services"})


@dataclass(slots=True)
class Model:
    """Services in long form and secrets by name. Paths in them are relative to `folder`."""

    read_file: ReadFile
    folder: str = ""
    chain: tuple[str, ...] = ()
    """The files that led here by including each other."""
    services: dict[str, YamlNode] = field(default_factory=dict)
    secrets: dict[str, YamlNode] = field(default_factory=dict)
    included: list[str] = field(default_factory=list)
    """All files included so far, shared by all models of a project."""

    def read(self, path: str) -> SourceFile | None:
        """A file by its path from the folder of this model; None if there is none."""
        return self.read_file(joined(self.folder, path))

    def add(self, document: YamlNode, env: Mapping[str, str]) -> None:
        """Lay a document over what is there, and what it includes under it. Raises BakeryError."""
        if document.value is None:
            return
        if not document.is_map:
            raise BakeryError.of("top-level object must be a mapping", "", document.span)
        for key, node in document.value.items():
            if key not in _READ:
                interpolated(node, env.get, (key,))  # Compose refuses a wrong reference wherever it stands
        section = _section(document, "services", env)
        own = {name: long_form(node, name) for name, node in section.items() if node.tag != _RESET}
        # A service extends what its own file says of another; only for want of that what earlier files say.
        extending = Services({**self.services, **own}, lambda path, asking: self._other_file(path, asking, env))
        extended = {name: extending.extended(name) for name in own}
        problems = [problem for name, node in extended.items() for problem in running_problems(name, node)]
        if problems:
            raise BakeryError(*problems)
        secrets = _section(document, "secrets", env)
        for name, node in section.items():
            if node.tag == _RESET:
                self.services.pop(name, None)
        self._include(document, env)
        _merge_into(self.services, extended)
        _merge_into(self.secrets, secrets)

    def _other_file(self, path: str, extends: YamlNode, env: Mapping[str, str]) -> Services:
        """The services of a file that an `extends` names, their paths relative to this model's folder."""
        file = self.read(path)
        if file is None:
            raise BakeryError.of(f"cannot read {path}", "no such file", extends.span)
        folder = posixpath.dirname(path)
        services: dict[str, YamlNode] = {}
        for document in read_yaml(file):
            for name, node in _section(document, "services", env).items() if document.is_map else ():
                services[name] = rebased_service(long_form(node, name), folder)
        return Services(services, lambda other, asking: self._other_file(joined(folder, other), asking, env))

    # --- include ---

    def _include(self, document: YamlNode, env: Mapping[str, str]) -> None:
        include = document.value.get("include")
        if include is None or include.value is None:
            return
        if not include.is_list:
            raise BakeryError.of("`include` must be a list", "", include.span)
        for item in include.value:
            self._include_one(interpolated(item, env.get, ("include",)), env)

    def _include_one(self, item: YamlNode, env: Mapping[str, str]) -> None:
        settings: Mapping[str, YamlNode] = item.value if item.is_map else {"path": item}
        paths = _texts(settings.get("path"))
        if not paths:
            raise BakeryError.of("`include` needs a path", "", item.span)
        project = _texts(settings.get("project_directory"))
        folder = project[0] if project else posixpath.dirname(paths[0])
        self._check_chain(paths[0], item.span)
        inner = Model(
            self.read_file,
            joined(self.folder, folder) if self.folder or folder else "",
            (*self.chain, joined(self.folder, paths[0])),
            included=self.included,
        )
        names = {**self._include_env(settings.get("env_file"), folder, env, item.span), **env}
        for path in paths:
            file = self.read(path)
            if file is None:
                raise BakeryError.of(f"open {path}: no such file or directory", "", item.span)
            for part in read_yaml(file):
                inner.add(part, names)
        _merge_under(self.services, {name: rebased_service(node, folder) for name, node in inner.services.items()})
        _merge_under(self.secrets, {name: rebased_secret(node, folder) for name, node in inner.secrets.items()})

    def _check_chain(self, path: str, asking: Span) -> None:
        full = joined(self.folder, path)
        if full in self.chain:
            raise BakeryError.of("include cycle detected", " → ".join((*self.chain, full)), asking)
        self.included.append(full)
        if len(self.included) > MAX_INCLUDES:
            raise BakeryError.of("too many includes", f"more than {MAX_INCLUDES} files are included", asking)

    def _include_env(
        self, node: YamlNode | None, folder: str, env: Mapping[str, str], asking: Span
    ) -> Mapping[str, str]:
        """The variables that an included file has besides the project's: of its `env_file`, or the `.env` beside it."""
        if node is None:
            file = self.read(joined(folder, ".env"))
            return {} if file is None else parse_dotenv(file, env)
        found: dict[str, str] = {}
        for path in _texts(node):
            file = self.read(path)
            if file is None:
                raise BakeryError.of(f"open {path}: no such file or directory", "", asking)
            found.update(parse_dotenv(file, {**found, **env}))
        return found


def _texts(node: YamlNode | None) -> list[str]:
    if node is None:
        return []
    return [clean_path(text) for item in (node.value if node.is_list else [node]) if (text := plain_text(item))]


def _section(document: YamlNode, key: str, env: Mapping[str, str]) -> dict[str, YamlNode]:
    section = document.value.get(key)
    if section is None or section.value is None:
        return {}
    if not section.is_map:
        raise BakeryError.of(f"{key} must be a mapping", "", section.span)
    found = {name: interpolated(node, env.get, (key, name)) for name, node in section.value.items()}
    return {name: node.with_value({}) if node.value is None else node for name, node in found.items()}


def _merge_into(collected: dict[str, YamlNode], added: Mapping[str, YamlNode]) -> None:
    for name, node in added.items():
        collected[name] = merged(collected[name], node) if name in collected else node


def _merge_under(collected: dict[str, YamlNode], added: Mapping[str, YamlNode]) -> None:
    for name, node in added.items():
        collected[name] = merged(node, collected[name]) if name in collected else node
