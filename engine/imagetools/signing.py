"""Signs images in registries with a key, and verifies such signatures, as cosign does.

What is signed is a small document that names the image's digest. It is a layer of an image that stands beside the
signed one, under a tag made of its digest, with the signature as an annotation. Format: cosign's
`specs/SIGNATURE_SPEC.md`; the document is that of containers/image, `containers-signature.5.md`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from engine import oci
from engine.digests import Digest, sha256
from engine.errors import RegistryError, SourceError
from engine.imagetools.inspect import leaves
from engine.imagetools.place import RegistryPlace
from engine.values import frozen

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

    from engine.registry.client import Registries
    from engine.registry.reference import Reference

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
TYPE = "cosign container image signature"
_MAX_PAYLOAD = 1 << 20
_NOT_FOUND = 404


class UnsignedError(SourceError):
    """An image without a signature that holds."""


@frozen
class Signed:
    """A signature that holds: what was signed, and by what claims."""

    digest: Digest
    claims: Mapping[str, Any]
    """What the signer says besides, such as a version."""
    payload: bytes


def signature_tag(digest: Digest) -> str:
    """The tag of the signatures of an image."""
    return f"{digest.replace(':', '-')}.sig"


def payload_of(reference: Reference, digest: Digest, claims: Mapping[str, str]) -> bytes:
    """The document that is signed."""
    critical = {
        "identity": {"docker-reference": reference.name},
        "image": {"docker-manifest-digest": digest},
        "type": TYPE,
    }
    return oci.go_json({"critical": critical, "optional": dict(sorted(claims.items())) or None})


async def sign(
    reference: Reference, key: EllipticCurvePrivateKey, claims: Mapping[str, str], registries: Registries
) -> Digest:
    """Signs what a name means now, and stores the signature beside it; other signatures stay. The image's digest.

    Raises:
        SourceError, RegistryError: if there is no such image, or the signature cannot be stored.
    """
    digest = await _meaning(reference, registries)
    await _sign(reference, digest, key, claims, registries)
    return digest


async def sign_all(
    reference: Reference, key: EllipticCurvePrivateKey, claims: Mapping[str, str], registries: Registries
) -> Digest:
    """The same for all that an index names, too: who pulls one platform's image may look for a signature of that.

    Raises:
        SourceError, RegistryError: as `sign`.
    """
    digest = await sign(reference, key, claims, registries)
    place = RegistryPlace(reference.at(digest), registries)
    for descriptor, _ in await leaves(place, await place.root()):
        if descriptor.digest != digest:
            await _sign(reference, descriptor.digest, key, claims, registries)
    return digest


async def _sign(
    reference: Reference,
    digest: Digest,
    key: EllipticCurvePrivateKey,
    claims: Mapping[str, str],
    registries: Registries,
) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    beside = replace(reference, tag=signature_tag(digest), digest=None)
    payload = payload_of(reference, digest, claims)
    before = await _signatures(beside, registries)
    for layer in before:
        if layer.digest == sha256(payload) and _holds(key.public_key(), layer, payload):
            return
    signature = base64.b64encode(key.sign(payload, ECDSA(SHA256()))).decode()
    layer = replace(oci.describe(payload, PAYLOAD), annotations={SIGNATURE: signature})
    await registries.push_blob(beside, layer, lambda: BytesIO(payload))
    await _store(beside, (*before, layer), registries)


async def verify(
    reference: Reference, key: EllipticCurvePublicKey, claims: Mapping[str, str], registries: Registries
) -> list[Signed]:
    """The signatures of what a name means now that hold by a key, and make these claims; at least one.

    Raises:
        UnsignedError: if there is none.
        SourceError, RegistryError: if there is no such image, or its registry cannot be reached.
    """
    digest = await _meaning(reference, registries)
    beside = replace(reference, tag=signature_tag(digest), digest=None)
    layers = await _signatures(beside, registries)
    if not layers:
        raise UnsignedError(f"{reference} ({digest}) is not signed", hint="sign it with `bakery images sign`")
    found = []
    for layer in layers:
        payload = await registries.small_blob(beside, layer, _MAX_PAYLOAD)
        if _holds(key, layer, payload):
            said = _claims(payload, digest)
            if said is not None and claims.items() <= said.items():
                found.append(Signed(digest, said, payload))
    if not found:
        wanted = " that makes these claims" if claims else ""
        raise UnsignedError(f"{reference} ({digest}) has no signature by this key{wanted}; it has {len(layers)}")
    return found


async def _meaning(reference: Reference, registries: Registries) -> Digest:
    if reference.digest is not None:
        return reference.digest
    found = await registries.head(reference) or (await registries.manifest(reference))[0]
    return found.digest


async def _signatures(beside: Reference, registries: Registries) -> tuple[oci.Descriptor, ...]:
    """The layers that are signatures, of the image under the tag; none where there is no such image."""
    try:
        descriptor, data = await registries.manifest(beside)
    except RegistryError as error:
        if error.status != _NOT_FOUND:
            raise
        return ()
    document = oci.parse_document(data, descriptor.media_type)
    layers = document.layers if isinstance(document, oci.Manifest) else ()
    return tuple(layer for layer in layers if layer.media_type == PAYLOAD)


async def _store(beside: Reference, layers: tuple[oci.Descriptor, ...], registries: Registries) -> None:
    diff_ids = [layer.digest for layer in layers]
    config = oci.config_bytes(
        {"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    )
    described = oci.describe(config, oci.OCI_CONFIG)
    await registries.push_blob(beside, described, lambda: BytesIO(config))
    await registries.push_manifest(beside, oci.document_bytes(oci.Manifest(described, layers)), oci.OCI_MANIFEST)


def _holds(key: EllipticCurvePublicKey, layer: oci.Descriptor, payload: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        signature = base64.b64decode(layer.annotations.get(SIGNATURE, ""), validate=True)
        key.verify(signature, payload, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error):
        return False
    return True


def _claims(payload: bytes, digest: Digest) -> dict[str, Any] | None:
    """What a signed document claims about this very image; None if it is about another, or of another kind."""
    try:
        document = json.loads(payload)
        critical = document["critical"]
        if critical["type"] != TYPE or critical["image"]["docker-manifest-digest"] != digest:
            return None
        return dict(document.get("optional") or {})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
