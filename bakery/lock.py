"""`bakery.lock`: what the images, git refs and URLs of a project meant when that was written down.

JSON, sorted, one entry a line, so that a change reads well in a diff:

    {
      "version": 1,
      "images": {"docker.io/library/debian:12": "sha256:…"},
      "git": {"https://example.org/repo.git#main": "<commit>"},
      "urls": {"https://example.org/file.tar.gz": "sha256:…"}
    }
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakery.diagnostics import BakeryError
from engine.sources.pins import PinKind

NAME = "bakery.lock"
VERSION = 1
MAX_SIZE = 16 << 20

Meanings = dict[tuple[PinKind, str], str]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def read_lock(path: Path) -> Meanings | None:
    """The meanings of a lock file, None if there is none.

    Raises:
        BakeryError: if it cannot be read, or makes no sense.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
        if len(data) > MAX_SIZE:
            raise ValueError("it is too big")
        document = json.loads(data)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(path, str(error)) from None
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise _broken(path, f"it is not of version {VERSION}")
    found: Meanings = {}
    for kind in PinKind:
        entries = document.get(kind.value, {})
        if not isinstance(entries, dict):
            raise _broken(path, f'"{kind.value}" is no object')
        for name, pin in entries.items():
            found[kind, name] = _checked(path, kind, name, pin)
    return found


def _checked(path: Path, kind: PinKind, name: str, pin: Any) -> str:
    form = _COMMIT if kind is PinKind.GIT else _DIGEST
    if not isinstance(pin, str) or not form.fullmatch(pin):
        raise _broken(path, f"what it says of {name} is no {'commit' if kind is PinKind.GIT else 'digest'}")
    return pin


def write_lock(path: Path, meanings: Mapping[tuple[PinKind, str], str]) -> None:
    """Writes a lock file, whole or not at all. Raises BakeryError."""
    document: dict[str, Any] = {"version": VERSION}
    for kind in PinKind:
        document[kind.value] = {name: pin for (of, name), pin in sorted(meanings.items(), key=_by_name) if of is kind}
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise BakeryError.of(f"cannot write {path}: {error.strerror}") from None


def _by_name(item: tuple[tuple[PinKind, str], str]) -> tuple[str, str]:
    (kind, name), _ = item
    return kind.value, name


def _broken(path: Path, why: str) -> BakeryError:
    return BakeryError.of(f"cannot read the lock {path}: {why}", hint="write it anew with `bakery lock --update`")
