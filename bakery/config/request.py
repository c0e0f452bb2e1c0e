"""What a command asks of the bake files: the one argument of `bakery.config.load`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path

from bakery.values import frozen


def _nothing(_: int) -> bytes:
    return b""


@frozen
class LoadRequest:
    """Files to read, targets to build, and everything the command line and the environment change about them.

    `files` empty means discovery in `cwd` (or `BUILDX_BAKE_FILE`). `targets` empty means `default`. `overrides` are
    `--set` expressions without the flag; `variables` are `NAME=value`. `env` is the whole environment that may be
    seen; nothing else of the process is read. `strict` None decides by file name: bakery's own files are strict.
    """

    files: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    no_cache: bool | None = None
    pull: bool | None = None
    push: bool = False
    load: bool = False
    sbom: str = ""
    provenance: str = ""
    policy: tuple[str, ...] = ()
    call: str = ""
    allow: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = field(default_factory=Path)
    stdin: bytes | None = None
    """Standard input as a bake file, for the name `-` among `files`."""
    standard_input: Callable[[int], bytes] = _nothing
    """Reads so many bytes of standard input, for a target whose Dockerfile is `-`."""
    strict: bool | None = None
    relative_to_file: bool | None = None
    remote: tuple[str, ...] = ()
    """URL of a remote definition, and optionally a second one that is its main context."""
