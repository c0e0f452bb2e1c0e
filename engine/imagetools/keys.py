"""Keys that images are signed with: ECDSA on P-256, in PEM, or encrypted as cosign writes them.

A cosign key is a PEM block around JSON: scrypt makes a key of the password, NaCl's secretbox (XSalsa20 and Poly1305)
opens the PKCS #8 form of the key with that. Format: github.com/secure-systems-lab/go-securesystemslib, `encrypted`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError, UnsupportedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

_COSIGN = (b"ENCRYPTED SIGSTORE PRIVATE KEY", b"ENCRYPTED COSIGN PRIVATE KEY")
_MAX_SCRYPT = 1 << 30
"""Bytes that deriving a key may take: what a file asks for is not to be believed."""

Password = Callable[[], bytes]
"""Asked only where a key is encrypted."""


class KeyFault(EngineError):
    """A key that cannot be used. Nothing of it is in the message."""


def private_key(data: bytes, name: str, password: Password) -> EllipticCurvePrivateKey:
    """The private key in a file called `name`.

    Raises:
        KeyFault: if it is none for ECDSA on P-256, or the password is wrong.
        UnsupportedError: if it is encrypted as cosign does it, and what opens that is not installed.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

    try:
        if any(b"-----BEGIN " + kind + b"-----" in data for kind in _COSIGN):
            key: Any = load_der_private_key(_opened(data, name, password), None)
        else:
            encrypted = b"ENCRYPTED" in data
            key = load_pem_private_key(data, password() if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unusable(name, "it is no private key in PEM, or its password is wrong") from None
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise _unusable(name, "it is none for ECDSA on the curve P-256")
    return key


def public_key(data: bytes, name: str) -> EllipticCurvePublicKey:
    """The public key in a file called `name`. Raises KeyFault."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        hint = "signatures are verified with the public key" if b"PRIVATE KEY" in data else ""
        raise KeyFault(f"cannot use the key {name}: it is no public key in PEM", hint=hint) from None
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise KeyFault(f"cannot use the key {name}: it is none for ECDSA on the curve P-256")
    return key


def _unusable(name: str, why: str) -> KeyFault:
    hint = "make one with `cosign generate-key-pair`, or `openssl ecparam -genkey -name prime256v1 -noout -out KEY`"
    return KeyFault(f"cannot use the key {name}: {why}", hint=hint)


def _opened(data: bytes, name: str, password: Password) -> bytes:
    """What is in an encrypted key of cosign's. Raises ValueError, TypeError, KeyFault, UnsupportedError."""
    try:
        from nacl.exceptions import CryptoError
        from nacl.secret import SecretBox
    except ImportError:
        raise UnsupportedError(
            f"the key {name} is encrypted as cosign does it, and PyNaCl, which opens that, is not installed",
            hint="install bakery-bake[sign], or use a key in plain PEM",
        ) from None
    try:
        form = json.loads(base64.b64decode(b"".join(data.strip().splitlines()[1:-1]), validate=True))
        kdf, cipher = form["kdf"], form["cipher"]
        salt, nonce = base64.b64decode(kdf["salt"]), base64.b64decode(cipher["nonce"])
        ciphertext = base64.b64decode(form["ciphertext"])
        names = kdf["name"], cipher["name"]
        cost, block, parallel = (int(kdf["params"][key]) for key in ("N", "r", "p"))
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise _unusable(name, "it is damaged") from None
    if names != ("scrypt", "nacl/secretbox"):
        raise _unusable(name, "it is encrypted in a way that is not known here")
    if 128 * cost * block * max(parallel, 1) > _MAX_SCRYPT:
        raise _unusable(name, "opening it would take too much memory")
    word, memory = password(), _MAX_SCRYPT + (1 << 20)
    try:
        secret = hashlib.scrypt(word, salt=salt, n=cost, r=block, p=parallel, dklen=32, maxmem=memory)
    except (ValueError, TypeError, OverflowError):
        raise _unusable(name, "it is damaged") from None
    try:
        return bytes(SecretBox(secret).decrypt(ciphertext, nonce))
    except (CryptoError, ValueError):
        raise KeyFault(f"cannot use the key {name}: the password is wrong") from None
