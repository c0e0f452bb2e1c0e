"""Resolved drafts to targets: defaults, cleaned paths, and the checks that can be made before any build."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bakery.config.attributes import ATTRIBUTES, Kind
from bakery.config.draft import SpanMap, TargetDraft
from bakery.config.entries import SECRET_LIMIT
from bakery.config.paths import CWD, is_local
from bakery.config.target import SecretEntry, SSHEntry, Target
from bakery.config.textforms import clean_path
from bakery.diagnostics import BakeryError, Diagnostic

# Not compiled here: most commands need none of them.
_SIZE = r"(?i:(\d+(?:\.\d+)?)\s?([kmgtp]?)(?:i?b)?)"
_PLATFORM_PART = r"[A-Za-z0-9_.-]+(\([A-Za-z0-9_.%-]*(\+[A-Za-z0-9_.%-]+)*\))?"
_SYSTEMS = (
    "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows "
    "zos macos"
)
_MACHINES = (
    "386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc ppc64 "
    "ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm i386 x86_64 x86-64 aarch64 armhf armel"
)
"""What a platform of a single word may be, aliases included."""
_LEVELS = frozenset({"manifest", "index", "manifest-descriptor", "index-descriptor"})
_ANNOTATION = r"(?P<levels>[a-z-]+(?:\[[^\]]*\])?(?:,[a-z-]+(?:\[[^\]]*\])?)*):(?P<key>[^=]*)="
_MAX_DIGITS = 100
_ABBREVIATIONS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def finished(draft: TargetDraft, requested: bool, remote: bool = False) -> Target:
    """The target that a draft has become. In a remote definition `cwd://` still says that a path is local."""
    fields: dict[str, Any] = {}
    for name, value in draft.values.items():
        attribute = ATTRIBUTES[name]
        if attribute.kind in (Kind.STRINGS, Kind.ENTRIES):
            value = tuple(value)
        elif attribute.kind in (Kind.MAP, Kind.RESOURCES):
            value = dict(sorted(value.items()))
        fields[attribute.field] = value
    fields["context"] = _context(draft, remote)
    fields["dockerfile"] = fields.get("dockerfile") or "Dockerfile"
    return Target(
        name=draft.name,
        **fields,
        matrix=draft.matrix,
        requested=requested,
        span=draft.span,
        spans=SpanMap(draft.places),
    )


def _without_prefix(where: str) -> str:
    return clean_path(where.removeprefix(CWD)) if where.startswith(CWD) else where


def _context(draft: TargetDraft, remote: bool) -> str:
    where: str | None = draft.values.get("context")
    if where is None:
        return draft.folder or "."
    if not remote:
        where = _without_prefix(where)
    return clean_path(where) if is_local(where) else where


def check(draft: TargetDraft, cwd: Path, env: Mapping[str, str]) -> list[Diagnostic]:
    """What is wrong with a target that only shows once it is complete, files that it needs included."""
    found: list[Diagnostic] = []

    def note(attribute: str, summary: str, detail: str = "", hint: str = "") -> None:
        span = draft.span_of(attribute)
        found.append(Diagnostic(summary, detail, span, hint=hint))

    values = draft.values
    if values.get("context") == "-":
        note("context", "context from stdin not allowed in bake", hint="unpack it into a folder, or name its URL")
    for platform in (part for text in values.get("platforms", ()) for part in text.split(",")):
        problem = _platform_problem(platform)
        if problem:
            note("platforms", f"{problem}: invalid argument")
    if values.get("shm-size") and parse_size(values["shm-size"]) is None:
        note("shm-size", f"invalid value {values['shm-size']} for membytes key shm-size", "expected 128m, 1g, …")
    for annotation in values.get("annotations", ()):
        problem = annotation_problem(annotation)
        if problem:
            note("annotations", problem)
    for secret in values.get("secret", ()):
        _check_secret(secret, cwd, env, note)
    for ssh in values.get("ssh", ()):
        _check_ssh(ssh, cwd, env, note)
    return found


def _platform_problem(text: str) -> str | None:
    if text.lower() == "local":
        return None
    parts = text.split("/", 3)
    for part in parts:
        if not re.fullmatch(_PLATFORM_PART, part):
            return f'"{part}" is an invalid component of "{text}": platform specifier component must be a word'
    if len(parts) == 1 and parts[0].split("(")[0].lower() not in f"{_SYSTEMS} {_MACHINES}".split():
        return f'"{text}": unknown operating system or architecture'
    return f'"{text}": cannot parse platform specifier' if len(parts) > 3 else None


def parse_size(text: str) -> int | None:
    """Bytes that a size like `128m`, `1.5GiB` or `4096` means, in powers of 1024; None if it means none."""
    match = re.fullmatch(_SIZE, text.strip())
    if match is None or len(match[1]) > _MAX_DIGITS:
        return None
    return int(float(match[1]) * 1024 ** _ABBREVIATIONS.get(match[2].lower(), 0))


def annotation_problem(text: str) -> str | None:
    """What is wrong with an annotation; None if nothing is."""
    if "=" not in text:
        return f'invalid annotation "{text}", expected key=value'
    match = re.match(_ANNOTATION, text)
    if match is None:
        return None
    for level in match["levels"].split(","):
        if level.split("[", 1)[0] not in _LEVELS:
            return f'unknown annotation type "{level}" in "{text}", expected one of {", ".join(sorted(_LEVELS))}'
    return None


def _check_secret(secret: SecretEntry, cwd: Path, env: Mapping[str, str], note: Any) -> None:
    if not secret.id:
        note("secret", "secret missing ID")
    if secret.command:
        return
    path = secret.src
    if not path and not secret.env:
        if secret.id in env:
            return
        path = secret.id
    if secret.env and secret.env not in env:
        # The peer hands an empty secret to the build here, silently.
        return
    if not path:
        return
    try:
        size = (cwd / _local(path)).stat().st_size
    except (OSError, ValueError) as error:  # a name may be too long, or have a zero byte in it
        reason = (getattr(error, "strerror", "") or "cannot be read").lower()
        note(
            "secret",
            f"failed to stat {path}",
            f"stat {path}: {reason}",
            f'secret "{secret.id}" needs this file; `env=NAME` takes it from the environment instead',
        )
        return
    if size > SECRET_LIMIT:
        note("secret", f"secret {secret.id} too big", f"{size} bytes; the limit is 500KiB")


def _check_ssh(ssh: SSHEntry, cwd: Path, env: Mapping[str, str], note: Any) -> None:
    if not ssh.paths:
        if not env.get("SSH_AUTH_SOCK"):
            note(
                "ssh",
                f"failed to convert agent config {{{ssh.id} [] false}}",
                "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set",
            )
        return
    for path in ssh.paths:
        if not os.path.exists(cwd / _local(path)):
            note(
                "ssh",
                f"failed to convert agent config {{{ssh.id} [{' '.join(ssh.paths)}] false}}",
                f"stat {path}: no such file or directory",
                f'"{ssh.id}" needs this key or socket',
            )


def _local(path: str) -> str:
    return path.removeprefix(CWD)


def unset_secret_warnings(drafts: Iterable[TargetDraft], env: Mapping[str, str]) -> list[Diagnostic]:
    """A warning for every secret that names a variable nobody set: the step would see an empty one."""
    from bakery.diagnostics import Severity

    return [
        Diagnostic(
            f'secret "{secret.id}" is empty',
            f"the environment variable {secret.env} is not set",
            draft.span_of("secret"),
            Severity.WARNING,
        )
        for draft in drafts
        for secret in draft.values.get("secret", ())
        if secret.env and secret.env not in env
    ]


def raise_all(found: list[Diagnostic]) -> None:
    """Raise what was found, if anything was."""
    if found:
        raise BakeryError(*found)
