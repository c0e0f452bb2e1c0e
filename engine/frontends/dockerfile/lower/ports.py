"""EXPOSE: `[[ip:]host:]port[-port][/protocol]`; only container ports and protocols are kept."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

from engine.frontends.dockerfile.expand import Expander, ExpansionError, Variables
from engine.frontends.dockerfile.gotext import quote
from engine.frontends.dockerfile.source import DockerfileError

PROTOCOLS = ("tcp", "udp", "sctp")
_MAX_PORT = 65535
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}")


def parse_all(words: Iterable[str], expander: Expander, variables: Variables, seen: Callable[[str], None]) -> list[str]:
    """Ports as `80/tcp`, one by one. `seen` is told of each as it is written once its variables are replaced.

    Raises:
        DockerfileError: for what is no port.
    """
    try:
        expanded = [port for word in words for port in expander.words(word, variables)]
    except ExpansionError as error:
        raise DockerfileError(str(error)) from None
    return [port for text in expanded for port in parse(text, seen)]


def parse(text: str, seen: Callable[[str], None]) -> list[str]:
    """The ports of one word. Raises as `parse_all`."""
    *before, last = text.split(":")
    host = before.pop() if before else ""
    port, _, protocol = last.partition("/")
    if not port:
        raise DockerfileError(f"invalid port: {quote(text)}: no port specified")
    if protocol and protocol.lower() not in PROTOCOLS:
        raise DockerfileError(f"invalid port: {quote(text)}: invalid proto: {protocol}")
    seen(text)
    _check_address(":".join(before))
    span = _range(port)
    if span is None:
        raise DockerfileError(f"invalid containerPort: {port}")
    if host:
        outer = _range(host)
        if outer is None:
            raise DockerfileError(f"invalid hostPort: {host}")
        if len(span) != len(outer) and len(span) != 1:
            raise DockerfileError(f"invalid ranges specified for container and host Ports: {port} and {host}")
    return [f"{number}/{(protocol or 'tcp').lower()}" for number in span]


def _check_address(text: str) -> None:
    inner = text
    if text.startswith("["):
        if not text.endswith("]"):
            raise DockerfileError(f"invalid IP address {text}: address {text}:: missing port in address")
        inner = text[1:-1]
    if not inner:
        return
    try:
        ipaddress.ip_address(inner)
    except ValueError:
        raise DockerfileError(f"invalid IP address: {inner}") from None


def _range(text: str) -> range | None:
    first, dash, last = text.partition("-")
    start = _number(first)
    end = start if not dash or first == last else _number(last)
    if start is None or end is None or end < start:
        return None
    return range(start, end + 1)


def _number(text: str) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    value = int(text)
    return value if 0 <= value <= _MAX_PORT else None
