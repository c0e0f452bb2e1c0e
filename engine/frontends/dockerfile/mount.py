"""The `--mount` and `--device` of RUN: comma-separated fields."""

from __future__ import annotations

import re
from collections.abc import Callable

from engine.frontends.dockerfile.gotext import csv_fields, meant, parse_bool, parse_uint, quote
from engine.frontends.dockerfile.instructions import Device
from engine.frontends.dockerfile.source import DockerfileError
from engine.values import record

TYPES = ("bind", "cache", "secret", "ssh", "tmpfs")
SHARINGS = ("locked", "private", "shared")
_KEYS = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
]
_SIZE_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")

Expand = Callable[[str], str]


@record
class RunMount:
    """A mount after expansion. `mode`, `uid` and `gid` None: not given; `size` in bytes, 0: no limit."""

    type: str = "bind"
    source_stage: str = ""
    source: str = ""
    target: str = ""
    readonly: bool = False
    size: int = 0
    id: str = ""
    sharing: str = ""
    required: bool = False
    env: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


def source_of(text: str) -> str:
    """What a mount has as `from`, which cannot hold variables: the stage must be known before anything is expanded.

    Raises:
        DockerfileError: if the text is no CSV line, or `from` holds a variable.
    """
    found = ""
    for item in _fields(text, "mounts"):
        key, equals, value = item.partition("=")
        if not equals or key.lower() != "from":
            continue
        if "$" in value[:-1]:
            raise DockerfileError(f"'{key.lower()}' doesn't support variable expansion, define alias stage instead")
        found = value
    return found


def parse(text: str, expand: Expand) -> RunMount:
    """A mount.

    Raises:
        DockerfileError: for a key or value that does not fit, or fields that do not go together.
    """
    mount = RunMount()
    readonly: bool | None = None
    for item in _fields(text, "mounts"):
        key, equals, value = item.partition("=")
        key = key.lower()
        if key in ("readonly", "ro", "readwrite", "rw"):
            on = _bool(key, expand(value)) if equals else True
            readonly = on if key.startswith("ro") or key == "readonly" else not on
        elif equals:
            _set(mount, key, expand(value), item)
        elif key == "required":
            _set(mount, key, "true", item)
        else:
            raise DockerfileError(f"invalid field '{item}' must be a key=value pair")
    mount.readonly = mount.type not in ("cache", "tmpfs") if readonly is None else readonly
    _check(mount)
    return mount


def parse_device(text: str) -> Device:
    """A device.

    Raises:
        DockerfileError: as `parse`.
    """
    name, required = "", False
    for item in _fields(text, "devices"):
        key, equals, value = item.partition("=")
        key = key.lower()
        if key == "required":
            required = _bool(key, value) if equals else True
        elif key == "name" and equals:
            if name:
                raise DockerfileError(f"device name already set to {name}")
            name = value
        elif not name:
            name = item
        elif not equals:
            raise DockerfileError(f"invalid field '{item}' must be a key=value pair")
        else:
            raise DockerfileError(meant(f"unexpected key '{key}' in '{item}'", key, ("name", "required")))
    return Device(name, required)


def _fields(text: str, what: str) -> list[str]:
    try:
        return csv_fields(text)
    except ValueError as error:
        raise DockerfileError(f"failed to parse csv {what}: {error}") from None


def _set(mount: RunMount, key: str, value: str, item: str) -> None:
    if key == "type":
        mount.type = _one_of(value, TYPES, "mount type")
    elif key == "from":
        mount.source_stage = value
    elif key in ("source", "src"):
        mount.source = value
    elif key in ("target", "dst", "destination"):
        mount.target = value
    elif key == "required":
        _only_for(mount, key, ("secret", "ssh"))
        mount.required = _bool(key, value)
    elif key == "size":
        _only_for(mount, key, ("tmpfs",))
        mount.size = _size(key, value)
    elif key == "id":
        mount.id = value
    elif key == "sharing":
        mount.sharing = _one_of(value, SHARINGS, "sharing value")
    elif key in ("mode", "uid", "gid"):
        number = parse_uint(value, 8 if key == "mode" else 10, 32)
        if number is None:
            raise DockerfileError(f"invalid value {value} for {key}")
        setattr(mount, key, number)
    elif key == "env":
        mount.env = value
    else:
        raise DockerfileError(meant(f"unexpected key '{key}' in '{item}'", key, _KEYS))


def _one_of(value: str, known: tuple[str, ...], what: str) -> str:
    if value.lower() not in known:
        raise DockerfileError(meant(f"unsupported {what} {quote(value)}", value, known))
    return value.lower()


def _only_for(mount: RunMount, key: str, types: tuple[str, ...]) -> None:
    if mount.type not in types:
        raise DockerfileError(f"unexpected key '{key}' for mount type '{mount.type}'")


def _bool(key: str, value: str) -> bool:
    found = parse_bool(value)
    if found is None:
        raise DockerfileError(f"invalid value for {key}: {value}")
    return found


def _size(key: str, value: str) -> int:
    end = max((at + 1 for at, char in enumerate(value) if char in "0123456789. "), default=0)
    number, suffix = value[:end].removesuffix(" "), value[end:].lower()
    unit, rest = suffix[:1], suffix[1:]
    plain = unit in ("", "b")
    if not _NUMBER.fullmatch(number) or float(number) < 0 or not (plain or unit in _SIZE_UNITS):
        raise DockerfileError(f"invalid value for {key}: {value}")
    if rest not in (("",) if plain else ("", "b", "ib")):
        raise DockerfileError(f"invalid value for {key}: {value}")
    size = float(number) * (1 if plain else _SIZE_UNITS[unit])
    if size >= 1 << 63:
        raise DockerfileError(f"invalid value for {key}: {value}")
    return int(size)


def _check(mount: RunMount) -> None:
    if mount.type in ("bind", "tmpfs"):
        for key in ("mode", "uid", "gid"):
            if getattr(mount, key) is not None:
                raise DockerfileError(f"{key} not allowed for {quote(mount.type)} type mounts")
    if mount.type == "secret":
        _check_secret(mount)
    if mount.sharing and mount.type != "cache":
        raise DockerfileError(f"invalid cache sharing set for {mount.type} mount")


def _check_secret(mount: RunMount) -> None:
    if mount.source_stage:
        raise DockerfileError("secret mount should not have a from")
    if mount.sharing:
        raise DockerfileError("secret mount should not define sharing")
    if not (mount.source or mount.target or mount.id):
        raise DockerfileError("invalid secret mount. one of source, target required")
    if mount.source and mount.id:
        raise DockerfileError("both source and id can't be set")
