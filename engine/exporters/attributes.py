"""The attributes of an output, read as BuildKit reads them, but nothing unknown is passed over in silence."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import field

from engine.errors import ExportError
from engine.exporters.contract import Export
from engine.values import frozen

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_ANNOTATION = re.compile(r"annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)")
_ANNOTATION_LEVELS = ("manifest", "index", "manifest-descriptor", "index-descriptor")
_LEVELS = {"gzip": range(10), "zstd": range(23), "uncompressed": range(0), "estargz": range(10)}

IMAGE_KEYS = (
    "name",
    "oci-mediatypes",
    "compression",
    "compression-level",
    "force-compression",
    "rewrite-timestamp",
    "source-date-epoch",
    "attestation-inline",
    "oci-artifact",
)
IGNORED_KEYS = (
    "buildinfo",
    "buildinfo-attrs",
    "danging-name-empty-only",
    "dangling-name-prefix",
    "name-canonical",
    "prefer-image-digest",
    "prefer-nondist-layers",
    "store",
    "unpack",
)
"""Taken for BuildKit's sake: there is no daemon here with an image store that they could mean anything to, layers keep
the media type that they came with, and statements of the kind of `buildinfo` are gone from BuildKit, too.
"""
ANY_NAME = "*"
"""The name that a frontend gives the image; the frontends here give none."""


def did_you_mean(word: str, known: Collection[str]) -> str:
    """The hint for an unknown word: the nearest known one, or all of them."""
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"


def check_known(export: Export, known: Collection[str], *, annotations: bool = False) -> None:
    """Refuses attributes that the output does not have. Raises ExportError."""
    for key in export.attributes:
        if key in known or key in IGNORED_KEYS or (annotations and key.startswith("annotation")):
            continue
        offered = [*known, *(["annotation.KEY"] if annotations else [])]
        raise ExportError(
            f'unknown attribute "{key}" of an output of type {export.type}', hint=did_you_mean(key, offered)
        )


def flag(attributes: Mapping[str, str], key: str, default: bool = False) -> bool:
    """A yes or no; a key without a value is a yes. Raises ExportError."""
    value = attributes.get(key)
    if value is None:
        return default
    if value in _FALSE:
        return False
    if value == "" or value in _TRUE:
        return True
    raise ExportError(f'the attribute {key} must be true or false, not "{value}"')


@frozen
class Epoch:
    """Which SOURCE_DATE_EPOCH counts, in seconds: an output's own, which may be none at all, or else the target's."""

    own: bool = False
    seconds: int | None = None

    def over(self, target: int | None) -> int | None:
        """What counts for a target with this one."""
        return self.seconds if self.own else target


def epoch_of(attributes: Mapping[str, str]) -> Epoch:
    """The output's own SOURCE_DATE_EPOCH; an empty text takes the target's away. Raises ExportError."""
    value = attributes.get("source-date-epoch")
    if not value:
        return Epoch(own=value is not None)
    try:
        return Epoch(own=True, seconds=int(value))
    except ValueError:
        raise ExportError(f'the attribute source-date-epoch must be a number of seconds, not "{value}"') from None


@frozen
class LayerForm:
    """How layers are packed. `force`: those that came with an image, too."""

    compression: str = "gzip"
    level: int | None = None
    force: bool = False

    @property
    def key(self) -> str:
        """The form in words, as it is recorded with a blob."""
        return self.compression if self.level is None else f"{self.compression}:{self.level}"


@frozen
class Annotation:
    """One annotation: where it goes (`level`), for which platform (all if empty), and what it says."""

    level: str
    platform: str
    key: str
    value: str


@frozen
class ImageOptions:
    """What all image outputs have in common."""

    names: tuple[str, ...] = ()
    form: LayerForm = field(default_factory=LayerForm)
    oci_types: bool = True
    rewrite_timestamp: bool = False
    epoch: Epoch = field(default_factory=Epoch)
    annotations: tuple[Annotation, ...] = ()
    artifact: bool = True
    """Attestations as OCI artifacts, not in the older form."""
    inline: bool = False
    """Attestations that are for images only go into every archive and layout, too."""

    def annotations_at(self, level: str, platform: str = "") -> dict[str, str]:
        """The annotations of one level: those for all platforms, then those for one."""
        mine = [a for a in self.annotations if a.level == level]
        return {a.key: a.value for wanted in ("", platform) for a in mine if a.platform == wanted}


def image_options(export: Export) -> ImageOptions:
    """The image options of an output. Raises ExportError."""
    attributes = export.attributes
    options = ImageOptions(
        names=tuple(name.strip() for name in attributes.get("name", "").split(",") if name.strip()),
        form=_form(attributes),
        oci_types=flag(attributes, "oci-mediatypes", default=True),
        rewrite_timestamp=flag(attributes, "rewrite-timestamp"),
        epoch=epoch_of(attributes),
        annotations=tuple(_annotation(key, value) for key, value in attributes.items() if key.startswith("annotation")),
        artifact=flag(attributes, "oci-artifact", default=True),
        inline=flag(attributes, "attestation-inline", default=export.type in ("image", "registry")),
    )
    if ANY_NAME in options.names:
        raise ExportError(
            'the name "*" stands for one that the frontend gives, and Dockerfiles give none', hint="write the name"
        )
    if not options.oci_types:
        if flag(attributes, "oci-artifact"):
            raise ExportError('the attributes "oci-artifact=true" and "oci-mediatypes=false" exclude each other')
        if options.form.compression == "estargz":
            raise ExportError('the attributes "compression=estargz" and "oci-mediatypes=false" exclude each other')
        if any(annotation.level != "manifest" for annotation in options.annotations):
            raise ExportError('only manifests can have annotations with "oci-mediatypes=false"')
    return options


def _form(attributes: Mapping[str, str]) -> LayerForm:
    compression = attributes.get("compression", "gzip")
    if compression not in _LEVELS:
        raise ExportError(f'unknown compression "{compression}"', hint=did_you_mean(compression, _LEVELS))
    level, text = None, attributes.get("compression-level")
    if text is not None:
        allowed = _LEVELS[compression]
        if not text.lstrip("-").isdigit():
            raise ExportError(f'the attribute compression-level must be a number, not "{text}"')
        level = int(text)
        if allowed and level not in allowed:
            raise ExportError(f"{compression} has levels {allowed[0]} to {allowed[-1]}, not {level}")
        level = level if allowed else None
    return LayerForm(compression, level, flag(attributes, "force-compression"))


def _annotation(key: str, value: str) -> Annotation:
    match = _ANNOTATION.fullmatch(key)
    if match is None:
        raise ExportError(
            f'"{key}" is no annotation',
            hint="write annotation[-LEVEL][[PLATFORM]].KEY, such as annotation-index.vendor",
        )
    level, platform, name = match[1] or "manifest", match[2] or "", match[3]
    if level not in _ANNOTATION_LEVELS:
        raise ExportError(f'unknown level of an annotation: "{level}"', hint=did_you_mean(level, _ANNOTATION_LEVELS))
    # An index is about all platforms, whatever was written.
    return Annotation(level, "" if level.startswith("index") else platform, name, value)
