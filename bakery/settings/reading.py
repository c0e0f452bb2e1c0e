"""From the text of a settings file to values: every key known, every value checked, every mistake with its place."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from bakery.diagnostics import BakeryError, Diagnostic, Severity, SourceFile, did_you_mean
from bakery.settings.places import Path as KeyPath
from bakery.settings.places import find_place, split_error
from bakery.settings.quantities import parse_duration, parse_space
from engine.cache.export_policy import ExportPolicy, ExportRule, When
from engine.cache.policy import DiskSpace, Limits, Rule

MAX_SIZE = 1 << 20
_ON_ERROR = ("keep-going", "fail-fast", "publish-all-or-nothing")
_RUNTIMES = ("native", "bubblewrap", "crun", "runc")
_NETWORKS = ("shared", "private")
_PROGRESS = ("auto", "none", "plain", "quiet", "rawjson", "tty")

T = TypeVar("T")


class Problem(Exception):
    """Why a value will not do; the reader knows where it stands. `path` leads on into it."""

    def __init__(self, reason: str, hint: str = "", path: KeyPath = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.path = path


def read(path: Path, *, is_project: bool) -> dict[str, Any]:
    """Fields of `Settings` with their values. Raises BakeryError with all mistakes of the file."""
    file, document = _parse(path)
    problems: list[Diagnostic] = []
    values: dict[str, Any] = {}
    known = _Keys(_TOP)
    for written, value in document.items():
        try:
            key = known.find(written)
            if key == "registry":
                _check_registry(value, is_project)
            elif key == "history":
                values |= _table(_HISTORY, value)
            elif key == "root":
                values["root"] = _root(value, path.parent, is_project)
            else:
                field, decode = _TOP[key]
                values[field] = decode(value)
        except Problem as problem:
            place = find_place(file, (written, *problem.path))
            problems.append(Diagnostic(problem.reason, span=place, severity=Severity.ERROR, hint=problem.hint))
    if problems:
        raise BakeryError(*problems)
    return values


def _parse(path: Path) -> tuple[SourceFile, dict[str, Any]]:
    try:
        if path.stat().st_size > MAX_SIZE:
            raise BakeryError.of(f"{path}: too big for settings", f"more than {MAX_SIZE} bytes")
        file = SourceFile(str(path), path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BakeryError.of(f"cannot read the settings in {path}", (error.strerror or "unreadable").lower()) from None
    except UnicodeDecodeError:
        raise BakeryError.of(f"cannot read the settings in {path}", "not UTF-8") from None
    try:
        return file, tomllib.loads(file.text)
    except tomllib.TOMLDecodeError as error:
        message, span = split_error(file, str(error))
        raise BakeryError.of("invalid TOML", message, span) from None


class _Keys:
    """The keys a table may have. How a key's words are joined does not matter: `keep-duration`, `keepDuration`."""

    def __init__(self, names: _Decoders) -> None:
        self._known = {_plain(name): name for name in names}
        self._fields = {name: field or name for name, (field, _) in names.items()}
        self._seen: dict[str, str] = {}

    def find(self, written: str) -> str:
        name = self._known.get(_plain(written))
        if name is None:
            near = did_you_mean(written, self._known.values())
            known = ", ".join(self._known.values())
            raise Problem(f'unknown setting "{written}"', f'did you mean "{near}"?' if near else f"known are {known}")
        before = self._seen.setdefault(self._fields[name], written)
        if before is not written:
            raise Problem(f'"{written}" sets what "{before}" has set')
        return name


def _plain(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()


def _check_registry(value: object, is_project: bool) -> None:
    """Its content is checked where it is used."""
    if is_project:
        # Plain http or another host for a registry would carry the user's credentials there.
        raise Problem("registries cannot be set by a project", "put them into the settings of the user")
    if not isinstance(value, dict):
        raise Problem('"registry" must be a table of tables', 'write [registry."HOST"]')


def _root(value: object, folder: Path, is_project: bool) -> Path:
    root = folder / os.path.expanduser(_text(value))
    # A project comes from elsewhere: it may not choose where on this machine files are written and deleted.
    if is_project and not Path(os.path.realpath(root)).is_relative_to(os.path.realpath(folder)):
        raise Problem(
            "the state folder of a project must lie within it", "set root in the settings of the user, or BAKERY_ROOT"
        )
    return Path(os.path.normpath(root))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise Problem("a text is wanted here")
    return value


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise Problem("true or false is wanted here")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Problem("a whole number from 1 is wanted here")
    return value


def _one_of(words: tuple[str, ...]) -> Callable[[object], str]:
    def decode(value: object) -> str:
        text = _text(value)
        if text not in words:
            near = did_you_mean(text, words)
            raise Problem(f'"{text}" is none of {", ".join(words)}', f'did you mean "{near}"?' if near else "")
        return text

    return decode


def _quantity(parse: Callable[[str], T]) -> Callable[[object], T]:
    def decode(value: object) -> T:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise Problem("a number, or a text with a unit, is wanted here")
        try:
            return parse(str(value))
        except ValueError as error:
            raise Problem(str(error)) from None

    return decode


_duration, _space = _quantity(parse_duration), _quantity(parse_space)


def _time(value: object) -> float:
    seconds = _duration(value)
    if not seconds:
        raise Problem("more than no time is wanted here")
    return seconds


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Problem("a list of texts is wanted here")
    return tuple(value)


def _filters(value: object) -> tuple[str, ...]:
    from engine.cache.filters import parse_filter

    for text in _texts(value):
        try:
            parse_filter(text)
        except ValueError as error:
            raise Problem(str(error)) from None
    return _texts(value)


_Decoders = Mapping[str, tuple[str, Callable[[object], Any]]]


def _table(decoders: _Decoders, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Problem("a table is wanted here")
    keys, found = _Keys(decoders), dict[str, Any]()
    for written, inner in value.items():
        try:
            field, decode = decoders[keys.find(written)]
            found[field] = decode(inner)
        except Problem as problem:
            raise Problem(problem.reason, problem.hint, (written, *problem.path)) from None
    return found


def _tables(decode: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """An array of tables."""

    def decode_all(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise Problem("tables are wanted here", "write [[NAME]] before each")
        found: list[T] = []
        for at, item in enumerate(value):
            try:
                found.append(decode(item))
            except Problem as problem:
                raise Problem(problem.reason, problem.hint, (at, *problem.path)) from None
        return tuple(found)

    return decode_all


def _rule(value: object) -> Rule:
    found = _table(_RULE, value)
    reserved = found.get("reserved", DiskSpace())
    limits = Limits(reserved, found.get("max_used", DiskSpace()), found.get("min_free", DiskSpace()))
    return Rule(found.get("filters", ()), found.get("keep_duration", 0.0), limits, found.get("all", False))


def _export_rule(value: object) -> ExportRule:
    found = _table(_EXPORT_RULE, value)
    when = When(found.get("when", "always"))
    if (when is When.SLOWER) != ("seconds" in found):
        raise Problem('"seconds" and when = "slower" belong together')
    return ExportRule(found.get("pattern", "*"), when, found.get("seconds", 0.0))


def _export_policy(value: object) -> ExportPolicy:
    return ExportPolicy(_tables(_export_rule)(value))


_RULE: _Decoders = {
    "all": ("all", _bool),
    "filters": ("filters", _filters),
    "keep-duration": ("keep_duration", _duration),
    "reserved-space": ("reserved", _space),
    "keep-bytes": ("reserved", _space),
    "max-used-space": ("max_used", _space),
    "min-free-space": ("min_free", _space),
}
_EXPORT_RULE: _Decoders = {
    "step": ("pattern", _text),
    "when": ("when", _one_of(tuple(when.value for when in When))),
    "seconds": ("seconds", _duration),
}
_HISTORY: _Decoders = {
    "keep": ("history_keep", _count),
    "max-used-space": ("history_space", _space),
}
_TOP: _Decoders = {
    "root": ("root", _text),
    "runtime": ("runtime", _one_of(_RUNTIMES)),
    "step-network": ("step_network", _one_of(_NETWORKS)),
    "progress": ("progress", _one_of(_PROGRESS)),
    "file-relative-paths": ("file_relative_paths", _bool),
    "strict": ("strict", _bool),
    "max-parallelism": ("max_parallelism", _count),
    "jobs": ("max_parallelism", _count),
    "jobs-per-target": ("jobs_per_target", _count),
    "on-error": ("on_error", _one_of(_ON_ERROR)),
    "timeout": ("timeout", _time),
    "step-timeout": ("step_timeout", _time),
    "gc": ("gc", _bool),
    "gckeepduration": ("gc_keep_duration", _duration),
    "gckeepstorage": ("reserved_space", _space),
    "reserved-space": ("reserved_space", _space),
    "max-used-space": ("max_used_space", _space),
    "min-free-space": ("min_free_space", _space),
    "gcpolicy": ("gc_policy", _tables(_rule)),
    "history": ("", _text),
    "cache-export": ("cache_export", _export_policy),
    "registry": ("", _text),
}
"""Every setting: the field it fills, and how its value is read. A new one is a line here and a field of `Settings`."""
