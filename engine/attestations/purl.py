"""Package URLs: one spelling for packages of every kind (github.com/package-url/purl-spec)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from engine import platforms
from engine.llb.ops import Platform
from engine.registry.reference import DOCKER_HUB, Reference, parse


def purl(
    kind: str, name: str, version: str = "", *, namespace: str = "", qualifiers: Mapping[str, str] | None = None
) -> str:
    """A package URL; qualifiers that are empty are left out, the others are in the order of their names."""
    parts = [quote(part, safe="") for part in namespace.split("/") if part]
    path = "/".join([kind, *parts, quote(name, safe="")])
    found = {key: value for key, value in sorted((qualifiers or {}).items()) if value}
    query = "&".join(f"{key}={quote(value, safe=_PLAIN)}" for key, value in found.items())
    return f"pkg:{path}" + (f"@{quote(version, safe=_PLAIN)}" if version else "") + (f"?{query}" if query else "")


_PLAIN = ":."
"""A colon may stand in versions and qualifiers as it is; a plus, a slash and an at may not."""


def image_purl(name: str, platform: Platform | None, kind: str = "docker") -> str:
    """An image's package URL, as BuildKit writes it: the name as Docker shows it, the tag as its version.

    Raises:
        SourceError: if `name` is no image reference.
    """
    reference = parse(name)
    namespace, _, last = familiar(reference).rpartition("/")
    version = reference.tag
    qualifiers = {"digest": str(reference.digest or "")}
    if platform is not None:
        qualifiers["platform"] = platforms.format(platforms.normalize(platform))
    return purl(kind, last, version, namespace=namespace, qualifiers=qualifiers)


def familiar(reference: Reference) -> str:
    """A repository's name as Docker shows it: without the registry and the folder that are meant anyhow."""
    if reference.domain != DOCKER_HUB:
        return reference.name
    return reference.path.removeprefix("library/") if reference.path.count("/") == 1 else reference.path
