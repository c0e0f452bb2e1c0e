"""Opens an object service by a cache's attributes, or by the origin that a layer was recorded with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from engine.errors import SourceError
from engine.objects.contract import ObjectStore

PREFIX = "objects:"
"""Begins the origin of a layer that lies in an object service (`OBJECTS_ORIGIN` of engine/sources/layers.py); the rest
is the service's attributes as JSON."""
SECRETS = frozenset(("token", "ghtoken", "access_key_id", "secret_access_key", "session_token"))
"""Attributes that are never written down."""

_given: dict[str, Mapping[str, str]] = {}
"""The attributes with which a place was opened in this process, with their secrets, by its origin."""


def open_objects(type: str, attributes: Mapping[str, str]) -> ObjectStore:
    """The service of a cache. What attributes do not say comes from the environment.

    Raises:
        DefinitionError, UnsupportedError: if it is not clear where it is, or who we are.
    """
    if type == "s3":
        from engine.objects.s3 import S3Objects, bucket_of, keys_of

        bucket = bucket_of(attributes, os.environ)
        place = {"bucket": bucket.name, "region": bucket.region, "endpoint_url": bucket.endpoint}
        return S3Objects(bucket, keys_of(attributes), _origin(type, {**attributes, **place}))
    from engine.objects.gha import ActionsObjects, access_of

    return ActionsObjects(access_of(attributes, os.environ), _origin(type, attributes))


def _origin(type: str, attributes: Mapping[str, str]) -> str:
    public = {key: value for key, value in sorted(attributes.items()) if key not in SECRETS}
    origin = PREFIX + json.dumps({"type": type, **public}, separators=(",", ":"))
    _given[origin] = attributes
    return origin


def open_origin(origin: str) -> ObjectStore:
    """The service that a layer's origin names. Raises SourceError, DefinitionError, UnsupportedError."""
    try:
        public = dict(json.loads(origin.removeprefix(PREFIX)))
        kind = str(public.pop("type"))
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"a layer's origin is malformed: {origin}") from error
    return open_objects(kind, _given.get(origin, public))
