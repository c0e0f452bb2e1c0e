"""What targets ask of this machine, and whether it was granted: `--allow`, the working folder, or `--set` itself.

Every target is checked, in every output mode. (The peer forgets all but the last of several targets, and skips the
checks with `--progress=rawjson`.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path

from bakery.config.paths import CWD, is_local, is_remote_url
from bakery.config.request import LoadRequest
from bakery.config.target import Project, Target
from bakery.config.textforms import parse_bool
from bakery.diagnostics import BakeryError, Diagnostic, Span
from bakery.values import frozen, record

_ENTITLEMENTS = ("network.host", "security.insecure")


@frozen
class Need:
    """One thing a target asks for. `grant` is the `--allow` value that would give it; `path` what it is about."""

    kind: str
    reason: str
    grant: str
    path: str = ""
    span: Span | None = None


@record
class Grants:
    """What was granted. Paths are resolved; `None` among them stands for any path."""

    names: set[str] = field(default_factory=set)
    read: list[Path | None] = field(default_factory=list)
    write: list[Path | None] = field(default_factory=list)

    def covers(self, need: Need, cwd: Path) -> bool:
        """Whether a need is granted."""
        if need.kind in ("read", "write"):
            wanted = resolved(need.path, cwd)
            granted = self.read if need.kind == "read" else self.write
            return any(place is None or wanted == place or place in wanted.parents for place in granted)
        if need.kind == "command":
            return bool(self.names & {need.grant, "secret.command"})
        if need.kind == "device":
            return bool(self.names & {need.grant, "device"})
        return need.grant in self.names


def resolved(path: str, cwd: Path) -> Path:
    """A path with the links of all its existing ancestors followed."""
    return Path(os.path.realpath(cwd / path.removeprefix(CWD).replace("\0", "")))


def parse_grants(allow: Iterable[str], cwd: Path) -> Grants:
    """The grants of `--allow` values. Raises BakeryError for one that grants nothing known."""
    grants = Grants()
    for text in allow:
        name, _, path = text.partition("=")
        match name:
            case "fs":
                grants.read.append(_place(path, text, cwd))
                grants.write.append(_place(path, text, cwd))
            case "fs.read":
                grants.read.append(_place(path, text, cwd))
            case "fs.write":
                grants.write.append(_place(path, text, cwd))
            case "network.host" | "security.insecure" | "ssh" | "buildx.local.delete":
                grants.names.add(name)
            case "device" | "secret.command":
                grants.names.add(text)
            case "image" | "image.push" | "image.load":
                pass
            case _:
                raise BakeryError.of(
                    f'unknown entitlement key "{name}"',
                    hint="known are network.host, ssh, secret.command, fs.read=PATH, fs.write=PATH, …",
                )
    return grants


def _place(path: str, text: str, cwd: Path) -> Path | None:
    if not path:
        raise BakeryError.of(f"invalid entitlement {text}", "a path or * is required: fs.read=PATH")
    return None if path == "*" else resolved(path, cwd)


def missing_grants(project: Project, request: LoadRequest) -> tuple[Diagnostic, ...]:
    """Needs that nothing grants, one diagnostic each, in the order of targets. Raises BakeryError for bad grants."""
    cwd = request.cwd
    grants = parse_grants(request.allow, cwd)
    grants.read.append(resolved(".", cwd))
    grants.write.append(resolved(".", cwd))
    _grant_what_is_set(grants, request)
    if not _checks_files(project, request):
        grants.names.add("ssh")
        grants.read.append(None)
        grants.write.append(None)
    needs = [need for target in project.targets.values() for need in needs_of(target)]
    first = {(need.kind, need.grant, need.path): need for need in needs}  # targets are much alike
    refused = {key for key, need in first.items() if not grants.covers(need, cwd)}
    return tuple(_missing(n) for n in dict.fromkeys(needs) if (n.kind, n.grant, n.path) in refused)


def _missing(need: Need) -> Diagnostic:
    import shlex

    hint = f"--allow {shlex.quote(need.grant)}"
    return Diagnostic("additional privileges requested", need.reason, need.span, hint=hint)


def _checks_files(project: Project, request: LoadRequest) -> bool:
    name = "BAKE_ALLOW_REMOTE_FS_ACCESS" if project.remote else "BUILDX_BAKE_ENTITLEMENTS_FS"
    text = request.env.get(name)
    try:
        switched = parse_bool(text) if text else None
    except ValueError:
        switched = None
    if project.remote and switched:
        return False
    return not (request.env.get("BUILDX_BAKE_ENTITLEMENTS_FS") == "0" or (not project.remote and switched is False))


def _grant_what_is_set(grants: Grants, request: LoadRequest) -> None:
    """What somebody names in `--set` they grant with it: but not contexts, as in the peer."""
    from bakery.config.entries import PARSERS

    keys = {"output": "output", "cache-to": "cache-to", "cache-from": "cache-from", "ssh": "ssh", "secrets": "secret"}
    for expression in request.overrides:
        left, _, text = expression.partition("=")
        parts = left.rstrip("+").split(".", 2)
        key = parts[1] if len(parts) > 1 else ""
        if key == "entitlements" and text in _ENTITLEMENTS:
            grants.names.add(text)
            continue
        name = "secret" if key == "secret" else keys.get(key)
        if name is None or not text:
            continue
        target = Target("", **{name.replace("-", "_"): tuple(PARSERS[name](text))})  # type: ignore[arg-type]
        for need in needs_of(target):
            if need.kind == "read":
                grants.read.append(resolved(need.path, request.cwd))
            elif need.kind == "write":
                grants.write.append(resolved(need.path, request.cwd))
            else:
                grants.names.add(need.grant)


def needs_of(target: Target) -> Iterator[Need]:
    """Everything a target asks of the machine, whatever is granted."""
    for entitlement in target.entitlements:
        if entitlement in _ENTITLEMENTS:
            yield Need(
                "name",
                f"target {target.name} runs steps with {entitlement}",
                entitlement,
                span=target.span_of("entitlements"),
            )
        elif entitlement.split("=", 1)[0] == "device":
            yield Need("device", f"target {target.name} uses {entitlement}", entitlement, span=target.span)
    yield from _contexts(target)
    yield from _secrets(target)
    yield from _caches(target)
    yield from _outputs(target)


def _read(target: Target, path: str, what: str, attribute: str) -> Need:
    reason = f"target {target.name} reads {what} {path}"
    return Need("read", reason, f"fs.read={path.removeprefix(CWD) or '.'}", path, target.span_of(attribute))


def _write(target: Target, path: str, what: str, attribute: str) -> Need:
    reason = f"target {target.name} writes {what} {path}"
    return Need("write", reason, f"fs.write={path.removeprefix(CWD) or '.'}", path, target.span_of(attribute))


def _contexts(target: Target) -> Iterator[Need]:
    named: Mapping[str, str] = target.contexts
    for where in named.values():
        if where.startswith(CWD) or is_local(where):
            yield _read(target, where, "the context", "contexts")
        elif where.startswith("oci-layout://"):
            path = where.removeprefix("oci-layout://").split("@", 1)[0]
            head, colon, tag = path.rpartition(":")
            yield _read(target, head if colon and "/" not in tag else path, "the image layout", "contexts")
    if not (target.context.startswith(CWD) or is_local(target.context)):
        return
    yield _read(target, target.context, "the context", "context")
    if target.dockerfile_inline is None and not is_remote_url(target.dockerfile):
        dockerfile = target.dockerfile
        if not dockerfile.startswith(CWD):
            dockerfile = os.path.join(target.context.removeprefix(CWD), dockerfile)
        yield _read(target, dockerfile, "the Dockerfile", "dockerfile")


def _secrets(target: Target) -> Iterator[Need]:
    for secret in target.secret:
        if secret.command:
            reason = (
                f"target {target.name} gets secret {secret.id} from the command `{secret.command}`, run on this machine"
            )
            grant = f"secret.command={secret.command}"
            yield Need("command", reason, grant, span=target.span_of("secret"))
        elif secret.src:
            yield _read(target, secret.src, f"secret {secret.id} from", "secret")
    for ssh in target.ssh:
        if not ssh.paths:
            yield Need("name", f"target {target.name} uses the ssh agent", "ssh", span=target.span_of("ssh"))
        for path in ssh.paths:
            yield _read(target, path, f"ssh key {ssh.id} from", "ssh")


def _caches(target: Target) -> Iterator[Need]:
    for cache in target.cache_from:
        if cache.type == "local" and "src" in cache.attrs:
            yield _read(target, cache.attrs["src"], "cache", "cache-from")
    for cache in target.cache_to:
        if cache.type == "local" and "dest" in cache.attrs:
            yield _write(target, cache.attrs["dest"], "cache", "cache-to")


def _outputs(target: Target) -> Iterator[Need]:
    for output in target.output:
        if output.type in ("local", "tar", "oci", "docker") and output.dest not in ("", "-"):
            yield _write(target, output.dest, "output", "output")
        if output.type == "local" and output.attrs.get("mode") == "delete":
            yield Need(
                "name",
                f"target {target.name} deletes files in {output.dest} that it does not make",
                "buildx.local.delete",
                span=target.span_of("output"),
            )
