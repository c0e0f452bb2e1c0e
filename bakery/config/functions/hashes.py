"""Hashes, identifiers and RSA."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from bakery.config.functions.digests import digest
from bakery.config.functions.function import Function, FunctionError, Parameter, definer, whole
from bakery.config.functions.octets import encoded
from bakery.config.types import NUMBER, STRING
from bakery.config.values import Value, string
from bakery.config.work import charge

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_STR = Parameter("str", STRING)

MAX_BCRYPT_COST: Final = 16
"""Each step doubles the time; 16 takes seconds. The peer would go to 31, which takes a day."""


@_define(_STR)
def md5(args: Sequence[Value]) -> Value:
    """Hexadecimal MD5."""
    return string(digest("md5", encoded(args[0].raw)).hex())


@_define(_STR)
def sha1(args: Sequence[Value]) -> Value:
    """Hexadecimal SHA-1."""
    return string(digest("sha1", encoded(args[0].raw)).hex())


@_define(_STR)
def sha256(args: Sequence[Value]) -> Value:
    """Hexadecimal SHA-256."""
    return string(digest("sha256", encoded(args[0].raw)).hex())


@_define(_STR)
def sha512(args: Sequence[Value]) -> Value:
    """Hexadecimal SHA-512."""
    return string(digest("sha512", encoded(args[0].raw)).hex())


@_define(_STR, variadic=Parameter("cost", NUMBER))
def bcrypt(args: Sequence[Value]) -> Value:
    """A bcrypt hash with a random salt; the cost is 10 by default."""
    if len(args) > 2:
        raise FunctionError("bcrypt() takes no more than two arguments")
    cost = whole(args, 1) if len(args) == 2 else 10
    if not 4 <= cost <= MAX_BCRYPT_COST:
        raise FunctionError(f"the cost must be between 4 and {MAX_BCRYPT_COST}")
    password = encoded(args[0].raw)
    if len(password) > 72 or b"\0" in password:
        raise FunctionError("bcrypt takes at most 72 bytes, none of them zero")
    import bcrypt as library

    charge(10 << cost)
    digest = library.hashpw(password, library.gensalt(cost, prefix=b"2a"))
    return string(digest.decode())


@_define(Parameter("ciphertext", STRING), Parameter("privatekey", STRING))
def rsadecrypt(args: Sequence[Value]) -> Value:
    """What was encrypted with PKCS #1 v1.5 padding for an RSA key, given in PEM."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from bakery.config.functions.encoding import decoded_base64

    ciphertext = decoded_base64(args[0].raw)
    try:
        key = load_pem_private_key(encoded(args[1].raw), None)
    except TypeError:
        reason = "password protected keys are not supported. Please decrypt the key prior to use"
        raise FunctionError(f"failed to parse key: {reason}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise FunctionError("failed to parse key: no key found") from None
    if not isinstance(key, RSAPrivateKey):
        raise FunctionError("failed to parse key: not an RSA key")
    try:
        return string(key.decrypt(ciphertext, PKCS1v15()).decode())
    except ValueError:
        raise FunctionError("decryption failed: wrong key, or not a text") from None


@_define()
def uuidv4(args: Sequence[Value]) -> Value:
    """A random UUID."""
    return string(str(uuid.uuid4()))


_NAMESPACES: Final = {
    "dns": uuid.NAMESPACE_DNS,
    "url": uuid.NAMESPACE_URL,
    "oid": uuid.NAMESPACE_OID,
    "x500": uuid.NAMESPACE_X500,
}


@_define(Parameter("namespace", STRING), Parameter("name", STRING))
def uuidv5(args: Sequence[Value]) -> Value:
    """The UUID of a name in a namespace: dns, url, oid, x500 or a UUID."""
    text = args[0].raw
    try:
        namespace = _NAMESPACES[text] if text in _NAMESPACES else uuid.UUID(text)
    except ValueError:
        raise FunctionError(f"uuidv5() doesn't support namespace {text} (invalid UUID)") from None
    name = encoded(args[1].raw)
    hashed = digest("sha1", namespace.bytes + name)
    return string(str(uuid.UUID(bytes=hashed[:16], version=5)))
