"""Manifests about other manifests: registries without the referrers API have them listed under a tag.

OCI distribution-spec 1.1, "Pushing Manifests with Subject" and "Referrers Tag Schema".
"""

from __future__ import annotations

from dataclasses import replace

from engine import oci
from engine.digests import Digest
from engine.errors import RegistryError
from engine.registry.auth import Scope
from engine.registry.pull import Repository, get_manifest
from engine.registry.push import push_manifest
from engine.registry.transport import Request

_NO_API = (400, 403, 404, 405, 501)
"""What registries answer that do not know the API; by the specification it would be 404."""


def referrers_tag(subject: Digest) -> str:
    """The tag under which what is said about a manifest is listed."""
    algorithm, _, encoded = subject.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


def subject_of(data: bytes, media_type: str) -> oci.Descriptor | None:
    """The manifest that a manifest is about, if it is about one."""
    if b'"subject"' not in data:
        return None
    return oci.parse_document(data, media_type, max_layers=oci.MAX_CACHE_LAYERS).subject


async def lists_referrers(repository: Repository, subject: Digest, scope: frozenset[Scope]) -> bool:
    """Whether the registry itself keeps the list of what is said about a manifest.

    Raises:
        RegistryError: if the registry cannot be reached.
    """
    what = f"list what is said about {repository.transport.host}/{repository.path}@{subject}"
    headers = {"accept": oci.OCI_INDEX}
    request = Request("GET", repository.url(f"referrers/{subject}"), what, scope, headers, ok=(200, *_NO_API))
    async with repository.transport.exchange(request) as response:
        return response.status_code == 200


async def add_referrer(repository: Repository, data: bytes, manifest: oci.Descriptor) -> None:
    """Adds a manifest that has a subject to the list under the subject's tag.

    Raises:
        RegistryError: if the registry refuses the list, or the tag means something else.
    """
    document = oci.parse_document(data, manifest.media_type, max_layers=oci.MAX_CACHE_LAYERS)
    assert document.subject is not None
    tag = referrers_tag(document.subject.digest)
    listed = await _listed(repository, tag)
    if any(item.digest == manifest.digest for item in listed.manifests):
        return
    said = document.artifact_type
    if not said and isinstance(document, oci.Manifest):
        said = document.config.media_type
    entry = replace(manifest, artifact_type=said, annotations=document.annotations)
    longer = oci.document_bytes(replace(listed, manifests=(*listed.manifests, entry)))
    await push_manifest(repository, tag, longer, oci.OCI_INDEX)


async def _listed(repository: Repository, tag: str) -> oci.Index:
    name = f"{repository.transport.host}/{repository.path}:{tag}"
    try:
        found, data = await get_manifest(repository, tag, name)
    except RegistryError as error:
        if error.status != 404:
            raise
        return oci.Index(())
    document = oci.parse_document(data, found.media_type)
    if not isinstance(document, oci.Index):
        raise RegistryError(f"{name} should list what is said about an image, but is an image")
    return document
