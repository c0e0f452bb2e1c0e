"""`bakery init`: a first bake file from the Dockerfiles and Compose files of a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from bakery.config.convert import to_hcl
from bakery.config.document import Document, Text
from bakery.config.request import LoadRequest
from bakery.diagnostics import BakeryError

MAX_DEPTH = 4
"""Levels of folders to look into."""

_SKIPPED = frozenset({"node_modules", "vendor", "venv", "dist", "build", "target", "__pycache__", "site-packages"})
_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_HEAD = """# Written by `bakery init`. `bakery build --print` shows what it builds.

"""


def starter_file(cwd: Path) -> str:
    """The text of a bake file for a folder. Raises BakeryError if there is nothing to build."""
    document = Document()
    compose = next((name for name in _COMPOSE if (cwd / name).is_file()), None)
    if compose is not None:
        from bakery.config.project import declared_targets

        document.add_drafts(*declared_targets(LoadRequest(files=(compose,), env=os.environ, cwd=cwd)))
    used = {_dockerfile_of(content) for content in document.target.values()}
    for path in sorted(dockerfiles(cwd)):
        if path not in used:
            _add_dockerfile(document, path, cwd)
    if not document.target:
        raise BakeryError.of("nothing to build was found", hint="write a Dockerfile first")
    names = [Text((name,)) for name in sorted(document.target)]
    document.group["default"] = {"targets": names}
    return _HEAD + to_hcl(document)


def dockerfiles(cwd: Path) -> Iterator[str]:
    """Paths of Dockerfiles below a folder, hidden and generated folders left out."""
    for folder, folders, files in os.walk(cwd):
        depth = len(Path(folder).relative_to(cwd).parts)
        folders[:] = [
            name for name in folders if not name.startswith(".") and name not in _SKIPPED and depth < MAX_DEPTH
        ]
        for name in files:
            named = name == "Dockerfile" or name.startswith("Dockerfile.") or name.endswith(".Dockerfile")
            if named and not name.endswith((".dockerignore", "~", ".bak")):
                yield os.path.relpath(os.path.join(folder, name), cwd)


def _dockerfile_of(content: dict[str, object]) -> str:
    def plain(key: str, default: str) -> str:
        value = content.get(key)
        return (value.plain if isinstance(value, Text) else None) or default

    return os.path.normpath(os.path.join(plain("context", "."), plain("dockerfile", "Dockerfile")))


def _add_dockerfile(document: Document, path: str, cwd: Path) -> None:
    folder, name = os.path.split(path)
    variant = name.removeprefix("Dockerfile").removesuffix(".Dockerfile").strip(".") if name != "Dockerfile" else ""
    base = folder.replace("/", "-") or cwd.resolve().name
    target = re.sub(r"[^a-zA-Z0-9_-]", "_", f"{base}-{variant}" if variant and folder else variant or base) or "app"
    while target in document.target:
        target += "_"
    content: dict[str, object] = {"context": Text((folder or ".",))}
    if name != "Dockerfile":
        content["dockerfile"] = Text((name,))
    content["tags"] = [Text((f"{target.lower()}:latest",))]
    document.target[target] = content
