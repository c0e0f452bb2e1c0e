"""The files of name resolution that a step sees: /etc/hosts as it asks for it, /etc/resolv.conf of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from engine.llb.ops import NetMode
from engine.sandbox.contract import BindMount, Step
from engine.sandbox.private_network import RESOLVER

HOSTS, RESOLV_CONF = "/etc/hosts", "/etc/resolv.conf"
_SYSTEMD_STUB = "127.0.0.53"
_SYSTEMD_REAL = Path("/run/systemd/resolve/resolv.conf")
_FALLBACK = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
"""What Docker and BuildKit write where a machine has no usable servers."""


class StepFiles:
    """Writes the two files into a folder, for one step."""

    def __init__(self, folder: Path, host_file: Path = Path(RESOLV_CONF)) -> None:
        self._folder = folder
        self._host_file = host_file

    def files(self, step: Step) -> Sequence[BindMount]:
        """Mounts of /etc/hosts and /etc/resolv.conf for a step. Raises OSError."""
        hosts, resolver = self._folder / "hosts", self._folder / "resolv.conf"
        hosts.write_text(hosts_text(step))
        resolver.write_text(self._resolv_conf(step))
        for file in (hosts, resolver):
            file.chmod(0o644)
        return (BindMount(hosts, HOSTS), BindMount(resolver, RESOLV_CONF))

    def _resolv_conf(self, step: Step) -> str:
        text = _content(self._host_file)
        servers = _name_servers(text)
        if step.network is not NetMode.NONE and servers == [_SYSTEMD_STUB] and _SYSTEMD_REAL.exists():
            # The stub answers in the host's network only, which a step need not share for ever; its servers always do.
            return _SYSTEMD_REAL.read_text()
        if step.private_network is not None and servers and all(map(_is_loopback, servers)):
            others = [line for line in text.splitlines() if line.split()[:1] != ["nameserver"]]
            return "\n".join([*others, f"nameserver {RESOLVER}", ""])
        return text if servers else text + _FALLBACK


def has_local_names(host_file: Path = Path(RESOLV_CONF)) -> bool:
    """Whether only this machine's own network reaches its name servers."""
    servers = _name_servers(_content(host_file))
    if servers == [_SYSTEMD_STUB] and _SYSTEMD_REAL.exists():
        return False
    return bool(servers) and all(map(_is_loopback, servers))


def _content(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _name_servers(text: str) -> list[str]:
    lines = [line.split() for line in text.splitlines()]
    return [words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1]


def _is_loopback(server: str) -> bool:
    try:
        return ip_address(server.partition("%")[0]).is_loopback
    except ValueError:
        return False


def hosts_text(step: Step) -> str:
    """The content of /etc/hosts, in BuildKit's form."""
    lines = [f"127.0.0.1\tlocalhost {step.hostname}", "::1\tlocalhost ip6-localhost ip6-loopback"]
    lines += [f"{ip}\t{host}" for host, ip in step.extra_hosts]
    return "\n".join(lines) + "\n"
