"""The Compose files of one command, read as one project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bakery.config.compose.dotenv import parse_dotenv
from bakery.config.compose.merge import OpenFile, Services, interpolated, long_form, merged
from bakery.config.compose.services import Project, service_draft
from bakery.config.draft import TargetDraft
from bakery.config.target import Group
from bakery.config.yaml_nodes import YamlNode, plain_text, read_yaml
from bakery.diagnostics import BakeryError, Diagnostic, SourceFile

ReadFile = Callable[[str], SourceFile | None]
"""Reads a file by its path from the working folder; None if there is none."""


@dataclass(slots=True)
class ComposeTargets:
    """The services that can be built, as drafts by target name, and the group of all of them."""

    drafts: dict[str, TargetDraft] = field(default_factory=dict)
    group: Group | None = None
    warnings: list[Diagnostic] = field(default_factory=list)


def load_compose(files: Sequence[SourceFile], env: Mapping[str, str], folder: str, read: ReadFile) -> ComposeTargets:
    """The targets of Compose files. `env` is what texts may refer to; `folder` is where relative files start.

    Raises BakeryError.
    """
    return compose_targets([document for file in files for document in read_yaml(file)], env, folder, read)


def compose_targets(
    documents: Sequence[YamlNode], env: Mapping[str, str], folder: str, read: ReadFile
) -> ComposeTargets:
    """The targets of Compose documents that are parsed already. Raises BakeryError."""
    result = ComposeTargets()
    names = {"COMPOSE_PROJECT_NAME": "bake", **env}
    services: dict[str, YamlNode] = {}
    secrets: dict[str, YamlNode] = {}

    def other_file(path: str, extends: YamlNode) -> list[YamlNode]:
        file = read(f"{folder}/{path}" if folder and not path.startswith("/") else path)
        if file is None:
            raise BakeryError.of(f"cannot read {path}", "no such file", extends.span)
        return [interpolated(document, names.get) for document in read_yaml(file)]

    for document in documents:
        _add_document(document, names, services, secrets, other_file)
    if not services and not secrets:
        raise BakeryError.of("empty compose file", "neither services nor secrets are declared")

    def env_file(node: YamlNode) -> Mapping[str, str]:
        path_node = node.value.get("path") if node.is_map else node
        required = node.value.get("required") if node.is_map else None
        path = (plain_text(path_node) if path_node is not None else None) or ""
        file = read(f"{folder}/{path}" if folder and not path.startswith("/") else path)
        if file is None:
            if required is not None and required.value is False:
                return {}
            raise BakeryError.of(f"env file {path} not found", "", node.span)
        return parse_dotenv(file, env)

    project = Project(secrets, names.get, env_file, result.warnings)
    for name in sorted(services):
        service = services[name]
        if service.value.get("build") is None or service.value["build"].value is None:
            continue
        draft = service_draft(name, service, project)
        draft.folder = folder
        result.drafts[draft.name] = draft
    if services:
        result.group = Group("default", tuple(result.drafts))
    return result


def _add_document(
    document: YamlNode,
    env: Mapping[str, str],
    services: dict[str, YamlNode],
    secrets: dict[str, YamlNode],
    open_file: OpenFile,
) -> None:
    if document.value is None:
        return
    if not document.is_map:
        raise BakeryError.of("top-level object must be a mapping", "", document.span)
    own = {name: long_form(node) for name, node in _section(document, "services", env).items()}
    # A service extends what its own file says of another; only for want of that what earlier files say.
    extending = Services({**services, **own}, open_file)
    _merge_into(services, {name: extending.extended(name) for name in own})
    _merge_into(secrets, _section(document, "secrets", env))


def _section(document: YamlNode, key: str, env: Mapping[str, str]) -> dict[str, YamlNode]:
    section = document.value.get(key)
    if section is None or section.value is None:
        return {}
    if not section.is_map:
        raise BakeryError.of(f"{key} must be a mapping", "", section.span)
    return {
        name: interpolated(node, env.get, (key, name)) for name, node in section.value.items() if node.value is not None
    }


def _merge_into(collected: dict[str, YamlNode], added: Mapping[str, YamlNode]) -> None:
    for name, node in added.items():
        collected[name] = merged(collected[name], node) if name in collected else node
