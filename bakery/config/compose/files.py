"""Paths in Compose files: what they are relative to when their file is included or extended."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from bakery.config.paths import is_local
from bakery.config.textforms import clean_path
from bakery.config.yaml_nodes import YamlNode, plain_text
from bakery.diagnostics import SourceFile

ReadFile = Callable[[str], SourceFile | None]
"""Reads a file by its path from the working folder; None if there is none."""


def rebased_service(service: YamlNode, folder: str) -> YamlNode:
    """A service in long form whose relative paths are seen from the folder that `folder` is relative to."""
    if not folder or not service.is_map:
        return service
    value = dict(service.value)
    build = value.get("build")
    if build is not None and build.is_map:
        value["build"] = build.with_value(_rebased_build(build, folder))
    files = value.get("env_file")
    if files is not None and files.is_list:
        value["env_file"] = files.with_value([_rebased_env_file(item, folder) for item in files.value])
    return service.with_value(value)


def rebased_secret(secret: YamlNode, folder: str) -> YamlNode:
    """A secret whose file is seen from the folder that `folder` is relative to."""
    if not folder or not secret.is_map or "file" not in secret.value:
        return secret
    return secret.with_value({**secret.value, "file": _rebased(secret.value["file"], folder)})


def _rebased_build(build: YamlNode, folder: str) -> dict[str, YamlNode]:
    value: dict[str, YamlNode] = dict(build.value)
    value["context"] = _rebased(value["context"], folder) if "context" in value else build.with_value(folder)
    contexts = value.get("additional_contexts")
    if contexts is not None and contexts.is_map:
        rebased = {name: _rebased(node, folder) for name, node in contexts.value.items()}
        value["additional_contexts"] = contexts.with_value(rebased)
    return value


def _rebased_env_file(item: YamlNode, folder: str) -> YamlNode:
    if not item.is_map:
        return _rebased(item, folder)
    if "path" not in item.value:
        return item
    return item.with_value({**item.value, "path": _rebased(item.value["path"], folder)})


def _rebased(node: YamlNode, folder: str) -> YamlNode:
    if node.is_list or node.is_map:
        return node
    path = plain_text(node)
    if not path or path.startswith(("/", "~", "service:")) or not is_local(path):
        return node
    return node.with_value(joined(folder, path))


def joined(folder: str, path: str) -> str:
    """A path seen from the folder that `folder` is relative to; absolute ones stay."""
    return clean_path(posixpath.join(folder, path))
