"""The attributes of `cache-to` and `cache-from`, read as BuildKit reads them; nothing unknown is accepted."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from engine.errors import DefinitionError, EngineError, ExportError, UnsupportedError
from engine.exporters.attributes import LayerForm, did_you_mean, flag, image_options
from engine.exporters.contract import Export
from engine.request import CacheBackend
from engine.values import frozen

MODES = ("min", "max")
COMMON = (
    "mode",
    "ignore-error",
    "compression",
    "compression-level",
    "force-compression",
    "oci-mediatypes",
    "image-manifest",
    "merge",
    "mounts",
)
"""What every cache to export to takes."""
PLACES = {
    "inline": (),
    "registry": ("ref", "registry.insecure"),
    "local": ("dest", "src", "tag", "digest", "reset"),
    "gha": ("scope", "timeout", "token", "url", "url_v2", "version", "repository", "ghtoken"),
    "s3": (
        "bucket",
        "region",
        "prefix",
        "manifests_prefix",
        "blobs_prefix",
        "name",
        "touch_refresh",
        "endpoint_url",
        "access_key_id",
        "secret_access_key",
        "session_token",
        "use_path_style",
        "upload_parallelism",
        "retries",
        "retry_mode",
        "retry_max_attempts",
        "disable_accept_encoding",
    ),
}
"""The types, and what says where a cache of the type is."""


@frozen
class ExportOptions:
    """What is exported, and how. `whole`: the results of all steps (mode=max), not only those of the last stage."""

    whole: bool = False
    ignore_error: bool = False
    form: LayerForm = LayerForm()
    oci_types: bool = True
    image_manifest: bool = True
    merge: bool = True
    mounts: bool = False

    def joined(self, other: ExportOptions) -> ExportOptions:
        """What serves two that export to the same place: the fuller of each."""
        return ExportOptions(
            self.whole or other.whole,
            self.ignore_error and other.ignore_error,
            self.form,
            self.oci_types,
            self.image_manifest,
            self.merge or other.merge,
            self.mounts or other.mounts,
        )


def is_active(backend: CacheBackend, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a cache is meant to be used here: that of GitHub Actions is only by its jobs, as buildx has it."""
    if backend.type != "gha":
        return True
    given = backend.attributes
    token = given.get("token") or environ.get("ACTIONS_RUNTIME_TOKEN")
    url = given.get("url_v2") or given.get("url")
    return bool(token and (url or environ.get("ACTIONS_RESULTS_URL") or environ.get("ACTIONS_CACHE_URL")))


def export_options(backend: CacheBackend) -> ExportOptions:
    """How to export to a cache. Raises DefinitionError, UnsupportedError."""
    check(backend, (*COMMON, *PLACES.get(backend.type, ())))
    attributes = backend.attributes
    mode = attributes.get("mode", "min")
    if mode not in MODES:
        raise DefinitionError(f'the mode of an exported cache is min or max, not "{mode}"')
    wanted = {key: value for key, value in attributes.items() if "compression" in key}
    try:
        oci_types = flag(attributes, "oci-mediatypes", default=True)
        options = ExportOptions(
            mode == "max" and backend.type != "inline",
            flag(attributes, "ignore-error"),
            image_options(Export("cache", wanted)).form,
            oci_types,
            flag(attributes, "image-manifest", default=oci_types),
            flag(attributes, "merge", default=True),
            flag(attributes, "mounts"),
        )
    except ExportError as error:
        raise DefinitionError(f"cache-to: {error.message}", hint=error.hint) from error
    if options.image_manifest and not oci_types:
        raise DefinitionError(
            'a cache with "oci-mediatypes=false" cannot be an image', hint="add image-manifest=false to cache-to"
        )
    return options


def check_import(backend: CacheBackend) -> None:
    """Refuses a cache to import from that makes no sense. Raises DefinitionError, UnsupportedError."""
    if backend.type == "inline":
        raise DefinitionError(
            "an inline cache lies in its image: import it as such", hint="write type=registry,ref=IMAGE in cache-from"
        )
    check(backend, (*COMMON, *PLACES.get(backend.type, ())))


def check(backend: CacheBackend, known: Collection[str]) -> None:
    """Refuses unknown types and attributes. Raises DefinitionError, UnsupportedError."""
    if backend.type not in PLACES:
        if backend.type == "azblob":
            raise UnsupportedError(
                "caches of type=azblob are not supported", hint="use type=registry, which Azure has too, or type=s3"
            )
        raise DefinitionError(f'unknown type of cache "{backend.type}"', hint=did_you_mean(backend.type, PLACES))
    for key in backend.attributes:
        if key not in known:
            raise DefinitionError(
                f'unknown attribute "{key}" of a cache of type {backend.type}', hint=did_you_mean(key, known)
            )


def required(backend: CacheBackend, key: str, example: str) -> str:
    """An attribute that must be there. Raises DefinitionError."""
    value = backend.attributes.get(key, "")
    if not value:
        raise DefinitionError(f"a cache of type {backend.type} needs {key}", hint=f"add {key}={example}")
    return value


def truth(backend: CacheBackend, key: str) -> bool:
    """A yes or no. Raises DefinitionError."""
    try:
        return flag(backend.attributes, key)
    except EngineError as error:
        raise DefinitionError(f"a cache of type {backend.type}: {error.message}") from error
