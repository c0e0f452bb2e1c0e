"""AWS Signature Version 4 for S3: which headers a request needs so that the service knows who sent it.

Source: "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote

from engine.values import frozen

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY = hashlib.sha256(b"").hexdigest()
"""The checksum of a request without a body."""


@frozen
class Keys:
    """Who we are to the service."""

    access: str
    secret: str
    session: str = ""


def quoted_path(path: str) -> str:
    """A path as it is signed and sent."""
    return quote(path, safe="/-_.~")


def signed(
    method: str,
    host: str,
    path: str,
    keys: Keys,
    region: str,
    payload: str,
    headers: Mapping[str, str] | None = None,
    now: float | None = None,
) -> dict[str, str]:
    """The headers of a request: those given, and those that sign it. Names are in lower case.

    `path` is already quoted; `payload` is the sha256 of the body, in hexadecimal digits; `now` in seconds since the
    epoch.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    sent = {**(headers or {}), "host": host, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    if keys.session:
        sent["x-amz-security-token"] = keys.session
    names = ";".join(sorted(sent))
    lines = "".join(f"{name}:{sent[name].strip()}\n" for name in sorted(sent))
    request = "\n".join([method, path, "", lines, names, payload])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = "\n".join([ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    signature = hmac.new(_signing_key(keys.secret, stamp[:8], region), text.encode(), "sha256").hexdigest()
    credential = f"Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "authorization": f"{ALGORITHM} {credential}"}


def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return key
