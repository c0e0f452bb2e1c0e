"""One target as a request to the Dockerfile frontend: BuildKit's options, folders, and what linked targets made."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.diagnostics import BakeryError, did_you_mean
from bakery.graph.local_path import local_path
from bakery.values import frozen
from engine.frontends.contract import FrontendRequest, FrontendResult, LinkedResult, LocalFolder

if TYPE_CHECKING:
    from bakery.config.target import Target

_REMOTE = re.compile(r"^(https?://|git://|ssh://|git@|github\.com/)|^[\w.-]+@[\w.-]+:")
_WEB = re.compile(r"https?://")
_RESOURCES = {
    "memory": "memory",
    "memory-swap": "memswap",
    "cpu-shares": "cpushares",
    "cpu-period": "cpuperiod",
    "cpu-quota": "cpuquota",
    "cpuset-cpus": "cpusetcpus",
    "cpuset-mems": "cpusetmems",
}
_NETWORKS = ("host", "none")
_OWN_FOLDERS = ("context", "dockerfile")
LINK = "target:"


@frozen
class Surroundings:
    """Where relative paths start, and what a remote definition makes of `.`."""

    cwd: Path
    remote_context: str | None = None


def links(target: Target) -> dict[str, str]:
    """The targets whose results this one uses: named context → target."""
    return {name: value[len(LINK) :] for name, value in target.contexts.items() if value.startswith(LINK)}


def is_remote(value: str) -> bool:
    """Whether a context is a URL or a git address instead of a folder."""
    return bool(_REMOTE.search(value))


def frontend_request(target: Target, linked: Mapping[str, FrontendResult], around: Surroundings) -> FrontendRequest:
    """What the frontend is asked for a target. `linked` has the results of the targets in `links(target)`.

    Raises BakeryError for a context that is not there.
    """
    options = _plain_options(target)
    locals_: dict[str, LocalFolder] = {}
    _main_context(target, around, options, locals_)
    inputs: dict[str, LinkedResult] = {}
    for name, value in target.contexts.items():
        if value.startswith(LINK):
            _link(name, value[len(LINK) :], linked[value[len(LINK) :]], options, inputs)
        else:
            options[f"context:{name}"] = _named_context(target, name, value, around, locals_)
    return FrontendRequest(options, locals_, inputs, dockerfile=target.dockerfile_inline)


def _plain_options(target: Target) -> dict[str, str]:
    options: dict[str, str] = {}
    options |= {f"build-arg:{key}": value for key, value in target.args.items()}
    options |= {f"label:{key}": value for key, value in target.labels.items()}
    if target.target:
        options["target"] = target.target
    if target.platforms:
        options["platform"] = ",".join(target.platforms)
    if target.no_cache:
        options["no-cache"] = ""
    elif target.no_cache_filter:
        options["no-cache"] = ",".join(target.no_cache_filter)
    if target.pull:
        options["image-resolve-mode"] = "pull"
    if target.network and target.network != "default":
        options["force-network-mode"] = _network(target, target.network)
    if target.extra_hosts:
        options["add-hosts"] = ",".join(sorted(host_lines(target.extra_hosts)))
    if target.shm_size:
        options["shm-size"] = str(_bytes(target, target.shm_size))
    if target.ulimits:
        options["ulimit"] = ",".join(target.ulimits)
    for entry in target.attest:
        if entry.type == "sbom" and not entry.disabled and entry.attrs.get("generator"):
            options["attest:sbom"] = _csv(f"{key}={value}" for key, value in entry.attrs.items())
    for key, value in target.resources.items():
        if key in _RESOURCES and str(value):
            sized = key in ("memory", "memory-swap")
            options[_RESOURCES[key]] = str(_bytes(target, str(value)) if sized else value)
    return options


def _csv(fields: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _network(target: Target, mode: str) -> str:
    if mode not in _NETWORKS:
        raise BakeryError.of(
            f"target {target.name}: invalid netmode {mode}",
            span=target.span_of("network"),
            hint=f"known are default, {', '.join(_NETWORKS)}",
        )
    return mode


def host_lines(hosts: Mapping[str, str]) -> list[str]:
    """`extra-hosts` as the frontend takes them. `host-gateway` is this machine, whose network the steps share."""
    pairs = [(host, ip.strip()) for host, ips in hosts.items() for ip in ips.split(",")]
    return [f"{host}={'127.0.0.1' if ip == 'host-gateway' else ip}" for host, ip in pairs]


def _bytes(target: Target, text: str) -> int:
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*([kmgtp]?)i?b?", text.strip().lower())
    if match is None:
        raise BakeryError.of(
            f'target {target.name}: "{text}" is not a size', span=target.span, hint="write bytes, or 64k, 128m, 1g"
        )
    return int(float(match[1]) * 1024 ** " kmgtp".index(match[2] or " "))


def _main_context(
    target: Target, around: Surroundings, options: dict[str, str], locals_: dict[str, LocalFolder]
) -> None:
    context = target.context
    if around.remote_context is not None and not is_remote(context) and not context.startswith("cwd://"):
        context = _join_remote(around.remote_context, context)
    if is_remote(context):
        options["context"] = context
        options["filename"] = target.dockerfile
        return
    folder = _folder(target, "context", context, around)
    locals_["context"] = LocalFolder("context", folder)
    if target.dockerfile_inline is not None:
        locals_["dockerfile"] = LocalFolder("dockerfile", folder)
        return
    if _WEB.match(target.dockerfile):
        options["filename"] = target.dockerfile
        return
    dockerfile = target.dockerfile.removeprefix("cwd://")
    beside = around.cwd if target.dockerfile.startswith("cwd://") else folder
    path = local_path(target, "dockerfile", beside, dockerfile)
    locals_["dockerfile"] = LocalFolder("dockerfile", path.parent)
    options["filename"] = path.name
    if not path.exists() and not (path.name == "Dockerfile" and (path.parent / "dockerfile").exists()):
        raise _missing_dockerfile(target, path)
    if path.exists() and not path.is_file():
        raise BakeryError.of(
            f"target {target.name}: failed to read dockerfile: {target.dockerfile} is no file",
            f"looked at {path}",
            target.span_of("dockerfile"),
            hint="`dockerfile` names a file in the context, `context` the folder",
        )


def _missing_dockerfile(target: Target, path: Path) -> BakeryError:
    near = (
        sorted(p.name for p in path.parent.glob("*") if "dockerfile" in p.name.lower()) if path.parent.is_dir() else []
    )
    guess = did_you_mean(path.name, near) or (near[0] if near else None)
    return BakeryError.of(
        f"target {target.name}: failed to read dockerfile: open {target.dockerfile}: no such file or directory",
        f"looked for {path}",
        target.span_of("dockerfile"),
        hint=f'did you mean "{guess}"?' if guess else 'write the Dockerfile, or set "dockerfile" in the target',
    )


def _join_remote(remote: str, context: str) -> str:
    """A relative context inside a remote definition's repository."""
    inside = context.strip("/").removeprefix("./")
    if inside in ("", "."):
        return remote
    base, mark, fragment = remote.partition("#")
    ref, _, subdir = fragment.partition(":")
    return f"{base}{mark or '#'}{ref}:{'/'.join(p for p in (subdir, inside) if p)}"


def _folder(target: Target, attribute: str, value: str, around: Surroundings) -> Path:
    path = local_path(target, attribute, around.cwd, value.removeprefix("cwd://"))
    if not path.is_dir():
        what = "is not a directory" if path.exists() else "not found"
        raise BakeryError.of(
            f'target {target.name}: unable to prepare context: path "{value}" {what}',
            span=target.span_of(attribute),
            hint=f"paths are relative to {around.cwd}",
        )
    return path


def _named_context(target: Target, name: str, value: str, around: Surroundings, locals_: dict[str, LocalFolder]) -> str:
    if value.startswith("docker-image://") or is_remote(value):
        return value
    if value.startswith("oci-layout://"):
        place, reference = _split_layout(value.removeprefix("oci-layout://"))
        path = local_path(target, "contexts", around.cwd, place)
        if not path.exists():
            raise BakeryError.of(
                f'target {target.name}: the OCI layout "{place}" of context {name} is not there',
                span=target.span_of("contexts"),
                hint=f"paths are relative to {around.cwd}",
            )
        store = LocalFolder("", path).session  # a name of its own: the context's may hold a colon
        locals_[store] = LocalFolder(store, path)
        return f"oci-layout://{store}{reference}"
    local = f"_{name}" if name in _OWN_FOLDERS else name  # as buildx has it
    locals_[local] = LocalFolder(local, _folder(target, "contexts", value, around))
    return f"local:{local}"


def _split_layout(text: str) -> tuple[str, str]:
    """The path, and what names the image in it: `:TAG`, `@DIGEST` or nothing."""
    path, mark, digest = text.partition("@")
    head, colon, tag = path.rpartition(":")
    if colon and "/" not in tag:
        path, tag = head, f":{tag}"
    else:
        tag = ""
    return path, tag + mark + digest


def _link(
    name: str, target: str, result: FrontendResult, options: dict[str, str], inputs: dict[str, LinkedResult]
) -> None:
    """A linked target's result as a named context, for each of its platforms where it has several."""
    if len(result.platforms) == 1:
        only = result.platforms[0]
        inputs[target] = LinkedResult(only.definition, only.config)
        options[f"context:{name}"] = f"input:{target}"
        return
    for platform in result.platforms:
        inputs[f"{target}::{platform.id}"] = LinkedResult(platform.definition, platform.config)
        options[f"context:{name}::{platform.id}"] = f"input:{target}::{platform.id}"
