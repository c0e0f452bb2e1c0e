"""What services say about how they run. A build needs none of it, but Compose refuses a file in which it is wrong.

Follows what the peer's loader does with these settings before it drops them: texts are read as the numbers and truths
that Compose wants there, and short forms of ports, volumes and devices are taken apart. Messages are those of the peer.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

from bakery.config.yaml_nodes import YamlNode
from bakery.diagnostics import Diagnostic

_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity)|nan", re.IGNORECASE)
_TRUTHS = frozenset({"true", "false", "y", "yes", "on", "n", "no", "off"})
_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
_MAX_PORT = 65535

_KINDS = {bool: "bool", int: "int", float: "float64", str: "string", dict: "map[string]interface {}"}


def running_problems(name: str, service: YamlNode) -> Iterator[Diagnostic]:
    """Everything that Compose would refuse in a service in long form, `build` aside."""
    path = f"services.{name}"
    for parse, places in _CASTS.items():
        for place in places:
            for shown, node in _found(service, tuple(place.split(".")), path):
                problem = parse(node.value) if isinstance(node.value, str) else None
                if problem:
                    detail = f"failed to cast to expected type: {problem}"
                    yield Diagnostic(f"error while interpolating {shown}", detail, node.span)
    for key, check in _SHAPES.items():
        node = service.value.get(key)
        if node is not None and node.tag != "!reset":
            yield from check(node, f"{path}.{key}")


def _found(node: YamlNode, path: tuple[str, ...], shown: str) -> Iterator[tuple[str, YamlNode]]:
    """What stands at a path, in which `*` is any key and `[]` any member of a list."""
    if not path:
        yield shown, node
        return
    key, *rest = path
    if key == "[]" and node.is_list:
        for child in node.value:
            yield from _found(child, tuple(rest), f"{shown}.[]")
    elif key == "*" and node.is_map:
        for name, child in node.value.items():
            yield from _found(child, tuple(rest), f"{shown}.{name}")
    elif node.is_map and key in node.value:
        yield from _found(node.value[key], tuple(rest), f"{shown}.{key}")


def _not_integer(text: str) -> str | None:
    return None if _INTEGER.fullmatch(text) else f'strconv.ParseInt: parsing "{text}": invalid syntax'


def _not_number(text: str) -> str | None:
    return None if _FLOAT.fullmatch(text) else f'strconv.ParseFloat: parsing "{text}": invalid syntax'


def _not_truth(text: str) -> str | None:
    return None if text.lower() in _TRUTHS else f"invalid boolean: {text}"


_CASTS: dict[Callable[[str], str | None], tuple[str, ...]] = {
    _not_integer: (
        "cpu_count", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares", "deploy.replicas",
        "deploy.update_config.parallelism", "deploy.rollback_config.parallelism", "deploy.restart_policy.max_attempts",
        "deploy.placement.max_replicas_per_node", "healthcheck.retries", "oom_score_adj", "pids_limit",
        "ports.[].target", "scale", "ulimits.*", "ulimits.*.hard", "ulimits.*.soft",
    ),
    _not_number: (
        "cpu_percent", "cpus", "deploy.update_config.max_failure_ratio", "deploy.rollback_config.max_failure_ratio",
    ),
    _not_truth: (
        "init", "depends_on.*.required", "depends_on.*.restart", "healthcheck.disable", "oom_kill_disable",
        "privileged", "read_only", "stdin_open", "tty", "volumes.[].read_only", "volumes.[].volume.nocopy",
    ),
}  # fmt: skip
"""Where texts must be numbers or truths."""


def _kind(node: YamlNode) -> str:
    return "<nil>" if node.value is None else _KINDS.get(type(node.value), "[]interface {}")


def _ports(node: YamlNode, path: str) -> Iterator[Diagnostic]:
    if not node.is_list:
        yield Diagnostic(f"{path}: invalid type {_kind(node)} for port", "", node.span)
        return
    for index, item in enumerate(node.value):
        if item.is_map:
            if "target" not in item.value:
                yield Diagnostic(f"service ports {path}.[{index}] is missing a target port", "", item.span)
        elif isinstance(item.value, str) or (isinstance(item.value, int) and not isinstance(item.value, bool)):
            problem = port_problem(str(item.value))
            if problem:
                yield Diagnostic(problem, "", item.span)
        else:
            yield Diagnostic(f"{path}: invalid type {_kind(item)} for port", "", item.span)


def port_problem(text: str) -> str | None:
    """What is wrong with a port as `[[IP:]HOST:]CONTAINER[/PROTOCOL]`; None if nothing is."""
    *address, host, container = ["", *text.split(":")]
    ip = ":".join(address[1:])
    container, _, protocol = container.partition("/")
    if not container:
        return f"no port specified: {text}<empty>"
    if (protocol or "tcp").lower() not in _PROTOCOLS:
        return f"invalid proto: {protocol.lower()}"
    if ip and not _is_address(ip):
        return f"invalid IP address: {ip}"
    inside = _port_range(container)
    if inside is None:
        return f"invalid containerPort: {container}"
    outside = _port_range(host) if host else inside
    if outside is None:
        return f"invalid hostPort: {host}"
    if len(inside) > 1 and len(inside) != len(outside):
        return f"invalid ranges specified for container and host Ports: {container} and {host}"
    return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    except ValueError:
        return False
    return True


def _port_range(text: str) -> range | None:
    first, dash, last = text.partition("-")
    numbers = [int(part) for part in (first, last if dash else first) if re.fullmatch(r"\+?[0-9]{1,9}", part)]
    if len(numbers) != 2 or not numbers[0] <= numbers[1] <= _MAX_PORT:
        return None
    return range(numbers[0], numbers[1] + 1)


def _volumes(node: YamlNode, path: str) -> Iterator[Diagnostic]:
    return _mounts(node, path, "volume", volume_problem)


def _devices(node: YamlNode, path: str) -> Iterator[Diagnostic]:
    return _mounts(node, path, "device", device_problem)


def _mounts(node: YamlNode, path: str, name: str, problem_of: Callable[[str], str | None]) -> Iterator[Diagnostic]:
    """Compose calls a device a volume, too, where it has the wrong type."""
    for index, item in enumerate(node.value if node.is_list else ()):
        if item.is_map:
            if not isinstance(_member(item, "target"), str):
                what = f"service {name} {path}.[{index}] is missing a mount target"
                yield Diagnostic(what, "", item.span)
        elif isinstance(item.value, str):
            problem = problem_of(item.value)
            if problem:
                yield Diagnostic(problem, "", item.span)
        else:
            yield Diagnostic(f"{path}.[]: invalid type {_kind(item)} for service volume mount", "", item.span)


def volume_problem(text: str) -> str | None:
    """What is wrong with a volume as `[SOURCE:]TARGET[:OPTIONS]`; None if nothing is."""
    if not text:
        return "invalid empty volume spec"
    if len(text.encode()) <= 2:
        return None
    sections: list[str] = [""]
    for char in text:
        if char == ":" and not (len(sections[-1]) == 1 and sections[-1].isalpha()):  # no drive of Windows
            sections.append("")
        else:
            sections[-1] += char
    for number, section in enumerate(sections):
        if not section:
            return f"invalid spec: {text}: empty section between colons"
        if number >= 2 and number + 1 < len(sections):
            return f"invalid spec: {text}: too many colons"
    return None


def device_problem(text: str) -> str | None:
    """What is wrong with a device as `SOURCE[:TARGET[:PERMISSIONS]]`; None if nothing is."""
    if text.count(":") > 2:
        return f"confusing device mapping, please use long syntax: {text}"
    return None


def _depends_on(node: YamlNode, path: str) -> Iterator[Diagnostic]:
    if node.is_map:
        for name, child in node.value.items():
            if not child.is_map:
                yield Diagnostic(f"{path}.{name}: unsupported value {child.value}", "", child.span)
    elif not node.is_list:
        yield Diagnostic(f"{path}: invalid type {_kind(node)} for depend_on", "", node.span)


def _gpus(node: YamlNode, path: str) -> Iterator[Diagnostic]:
    if not node.is_list and not isinstance(node.value, str):
        yield Diagnostic(f"{path}: invalid type {_kind(node)} for gpus", "", node.span)


def _member(node: YamlNode, key: str) -> object:
    child = node.value.get(key)
    return None if child is None else child.value


_SHAPES: dict[str, Callable[[YamlNode, str], Iterator[Diagnostic]]] = {
    "ports": _ports,
    "volumes": _volumes,
    "devices": _devices,
    "depends_on": _depends_on,
    "gpus": _gpus,
}
