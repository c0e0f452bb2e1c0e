"""What must be true of Compose services together, once all files are merged. Messages are those of the peer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bakery.config.textforms import yaml_bool
from bakery.config.yaml_nodes import YamlNode, plain_text
from bakery.diagnostics import Diagnostic, Span

SERVICE = "service:"
"""The prefix of a named context that is another service."""


def inconsistencies(services: Mapping[str, YamlNode], secrets: Mapping[str, YamlNode]) -> list[Diagnostic]:
    """All contradictions of a project."""
    found: list[Diagnostic] = []
    for name, service in services.items():
        build = service.value.get("build")
        if build is not None:
            found.extend(_in_build(name, build, services, secrets))
        elif not _text(service, "image"):
            found.append(_problem(f'service "{name}" has neither an image nor a build context specified', service.span))
    for name, secret in secrets.items():
        if not is_external(secret) and not _text(secret, "file") and not _text(secret, "environment"):
            found.append(_problem(f'secret "{name}" must declare either `file` or `environment`', secret.span))
    return found


def is_external(secret: YamlNode) -> bool:
    """Whether a secret is kept elsewhere than in a file or a variable."""
    node = secret.value.get("external")
    if node is None or node.value is None:
        return False
    try:
        return node.is_map or yaml_bool(plain_text(node) or "false")
    except ValueError:
        return False


def _in_build(
    name: str, build: YamlNode, services: Mapping[str, YamlNode], secrets: Mapping[str, YamlNode]
) -> Iterator[Diagnostic]:
    if _text(build, "dockerfile") and _text(build, "dockerfile_inline"):
        yield _problem(
            f'service "{name}" declares mutualy exclusive dockerfile and dockerfile_inline',
            build.key_span("dockerfile_inline"),
        )
    contexts = build.value.get("additional_contexts")
    for key, node in contexts.value.items() if contexts is not None and contexts.is_map else ():
        where = plain_text(node) or ""
        if where.startswith(SERVICE):
            other = services.get(where.removeprefix(SERVICE))
            if other is None or other.value.get("build") is None:
                kind = "unknown" if other is None else "non-buildable"
                other_name = where.removeprefix(SERVICE)
                yield _problem(
                    f'service "{name}" declares {kind} service "{other_name}" as additional contexts {key}', node.span
                )
    mounts = build.value.get("secrets")
    for mount in mounts.value if mounts is not None and mounts.is_list else ():
        source = _text(mount, "source") if mount.is_map else plain_text(mount)
        if not source or source not in secrets:
            yield _problem(f'service "{name}" refers to undefined build secret {source}', mount.span)
        elif is_external(secrets[source]):
            yield _problem(f"unsupported external secret {source}", mount.span)


def _text(node: YamlNode, key: str) -> str:
    child = node.value.get(key)
    return (plain_text(child) or "") if child is not None else ""


def _problem(what: str, span: Span) -> Diagnostic:
    return Diagnostic(f"failed to parse compose file: {what}", "", span)
