"""The `--flags` of an instruction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from engine.frontends.dockerfile.gotext import meant
from engine.frontends.dockerfile.source import DockerfileError
from engine.values import frozen

_NAMES = {"true": True, "": True, "false": False}


@frozen
class Flags:
    """Which flags there are, and what was given. Texts can be empty, switches None where not given."""

    texts: dict[str, str] = field(default_factory=dict)
    switches: dict[str, bool] = field(default_factory=dict)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)


def parse(
    given: tuple[str, ...], *, texts: Iterable[str] = (), switches: Iterable[str] = (), lists: Iterable[str] = ()
) -> Flags:
    """The values of flags.

    Raises:
        DockerfileError: for an unknown or repeated flag, or a value that does not fit.
    """
    flags = Flags()
    if not given:
        return flags
    texts, switches, lists = frozenset(texts), frozenset(switches), frozenset(lists)
    for item in given:
        if not item.startswith("--"):
            raise DockerfileError(f"arg should start with -- : {item}")
        flag, equals, value = item.partition("=")
        name = flag[2:]
        if name in lists:
            _need_value(flag, equals)
            flags.lists[name] = (*flags.lists.get(name, ()), value)
            continue
        if name not in texts and name not in switches:
            known = sorted(texts | switches | lists)
            raise DockerfileError(meant(f"unknown flag: {flag}", name, known))
        if name in flags.texts or name in flags.switches:
            raise DockerfileError(f"duplicate flag specified: {flag}")
        if name in texts:
            _need_value(flag, equals)
            flags.texts[name] = value
        else:
            flags.switches[name] = _switch(flag, equals, value)
    return flags


def _need_value(flag: str, equals: str) -> None:
    if not equals:
        raise DockerfileError(f"missing a value on flag: {flag}")


def _switch(flag: str, equals: str, value: str) -> bool:
    if equals and not value:
        raise DockerfileError(f"missing a value on flag: {flag}")
    word = value.lower()
    if word not in _NAMES:
        raise DockerfileError(f"expecting boolean value for flag {flag}, not: {value}")
    return _NAMES[word]
