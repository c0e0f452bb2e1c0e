"""SLSA provenance of an image, in BuildKit's form: what was asked, from what it was made, and in `max` mode how.

Format: slsa.dev/provenance/v1 (and v0.2) with the extensions of BuildKit's docs/attestations/slsa-definitions.md.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from engine import oci, platforms
from engine.attestations.materials import Material, materials, without_password
from engine.attestations.steps import build_config, step_layers, step_sources
from engine.errors import ExportError
from engine.exporters.contract import Attest, BuildFacts
from engine.exporters.gotime import format_time
from engine.frontends.contract import FrontendRequest
from engine.llb.definition import Vertex
from engine.llb.ops import MountType, NetMode

TYPE_V1 = "https://slsa.dev/provenance/v1"
TYPE_V02 = "https://slsa.dev/provenance/v0.2"
_BUILD_TYPE = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"
_BUILD_TYPE_V02 = "https://mobyproject.org/buildkit@v1"
_OF_THE_HOST = frozenset(("cgroup-parent", "image-resolve-mode", "platform", "cache-imports"))
"""Options that say something of the machine and not of the result."""
_COMPATIBILITY = 30
"""BuildKit's number for the form that exporters give an image, as of its version 0.31."""
FRONTEND_VERSION = "1.26.0"
"""The version of BuildKit's Dockerfile frontend that the one built in here does the same as."""

Predicate = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProvenanceOptions:
    """The attributes of `type=provenance`."""

    full: bool = True
    version: str = "v1"
    builder_id: str = ""
    reproducible: bool = False
    complete: bool = False

    @classmethod
    def of(cls, attest: Attest) -> Self:
        """Raises ExportError."""
        attributes = attest.attributes
        unknown = attributes.keys() - _KEYS
        if unknown:
            raise ExportError(f'unknown attribute "{min(unknown)}" of a provenance attestation')
        mode, version = attributes.get("mode") or "max", attributes.get("version") or "v1"
        if mode not in ("min", "max", "full"):
            raise ExportError(f'provenance has no mode "{mode}"', hint="known are min and max")
        if version not in ("v1", "v0.2"):
            raise ExportError(f'provenance has no version "{version}"', hint="known are v1 and v0.2")
        return cls(
            mode != "min",
            version,
            attributes.get("builder-id", ""),
            _true(attributes.get("reproducible")),
            _true(attributes.get("complete-materials")),
        )

    @property
    def predicate_type(self) -> str:
        """What the statement says it is."""
        return TYPE_V1 if self.version == "v1" else TYPE_V02


_KEYS = {
    "mode",
    "version",
    "builder-id",
    "reproducible",
    "inline-only",
    "complete-materials",
    "capture-usage",
    "filename",
}


def _true(text: str | None) -> bool:
    return (text or "").lower() in ("1", "t", "true")


def predicate(options: ProvenanceOptions, facts: BuildFacts, layers: Sequence[oci.Descriptor] = ()) -> Predicate:
    """The predicate of one platform's image, whose layers are given, the lowest first.

    Raises:
        ExportError: if complete materials are demanded, and are not to be had.
    """
    vertices = list(facts.definition.walk())
    found = materials([*vertices, *(facts.scan.walk() if facts.scan else ())], facts.pins)
    names = sorted(facts.request.locals) if facts.request else []
    complete = not names
    if options.complete and not complete:
        raise ExportError(
            "the provenance cannot be complete: local folders have no digest", hint=f"they are: {', '.join(names)}"
        )
    request, source = _request(facts.request, found)
    request |= _secrets(vertices) | {"locals": [{"name": name} for name in names]}
    if told := request["args"] | _vcs_options(facts.request):
        request["root"] = {"configSource": source, "request": {"args": dict(sorted(told.items()))}}
    scrubbed = not options.full and _scrub(request)
    request["compatibilityVersion"] = _COMPATIBILITY
    details = _vcs(facts.request)
    internal: dict[str, Any] = {"builderPlatform": platforms.format(platforms.host())}
    if facts.request:
        internal["dockerfileVersion"] = FRONTEND_VERSION
    if options.full:
        internal = {"buildConfig": build_config(vertices, facts.definition)} | internal
        extra = {"source": step_sources(vertices), "layers": step_layers(facts, vertices, layers)}
        details |= {key: value for key, value in extra.items() if value}
    hermetic = complete and not any(v.op.exec and v.op.exec.network is not NetMode.NONE for v in vertices)
    metadata: dict[str, Any] = {
        "invocationId": facts.build,
        "startedOn": format_time(facts.started),
        "finishedOn": format_time(facts.finished),
        "buildkit_metadata": details,
        **({"buildkit_hermetic": True} if hermetic else {}),
        "buildkit_completeness": {
            "request": bool(facts.request) and not scrubbed,
            "resolvedDependencies": complete,
        },
        **({"buildkit_reproducible": True} if options.reproducible else {}),
    }
    made: Predicate = {
        "buildDefinition": {
            "buildType": _BUILD_TYPE,
            "resolvedDependencies": [item.fields for item in found],
            "externalParameters": {"configSource": source, "request": _without_empty(request)},
            "internalParameters": internal,
        },
        "runDetails": {"builder": {"id": options.builder_id}, "metadata": metadata},
    }
    if not found:
        del made["buildDefinition"]["resolvedDependencies"]
    return made if options.version == "v1" else as_v02(made)


def response(options: ProvenanceOptions, facts: BuildFacts) -> Predicate:
    """What the metadata file says of a build: buildx has v0.2's form there, whatever is attached to the image.

    `min` leaves out how it was done, but not what was asked.
    """
    made = as_v02(predicate(replace(options, full=True, version="v1", complete=False), facts))
    if not options.full:
        made.pop("buildConfig", None)
        del made["metadata"]
    return made


def _request(request: FrontendRequest | None, found: Sequence[Material]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters, and where the Dockerfile came from."""
    if request is None:
        return {"args": {}}, {}
    args = {
        key: without_password(value)
        for key, value in request.options.items()
        if key not in _OF_THE_HOST and not key.startswith(("attest:", "vcs:"))
    }
    source: dict[str, Any] = {}
    if context := args.pop("context", ""):
        source["uri"] = context
        if known := next((item for item in found if item.fits(context)), None):
            source["digest"] = known.digest
    filename = args.pop("filename", "")
    if filename or request.dockerfile is None:
        source["path"] = filename or "Dockerfile"
    return {"frontend": "dockerfile.v0", "args": dict(sorted(args.items()))}, source


def _secrets(vertices: Sequence[Vertex]) -> dict[str, Any]:
    """The secrets and agents that steps may use: optional only if all that use one can do without."""
    secrets: dict[str, bool] = {}
    agents: dict[str, bool] = {}
    for vertex in vertices:
        step = vertex.op.exec
        for mount in step.mounts if step else ():
            if mount.mount_type is MountType.SECRET and mount.secret_opt:
                secrets[mount.secret_opt.id] = secrets.get(mount.secret_opt.id, True) and mount.secret_opt.optional
            if mount.mount_type is MountType.SSH and mount.ssh_opt:
                name = mount.ssh_opt.id or "default"
                agents[name] = agents.get(name, True) and mount.ssh_opt.optional
        for variable in step.secretenv if step else ():
            secrets[variable.id] = secrets.get(variable.id, True) and variable.optional
    return {"secrets": _ids(secrets), "ssh": _ids(agents)}


def _ids(found: Mapping[str, bool]) -> list[dict[str, Any]]:
    return [{"id": name} | ({"optional": True} if optional else {}) for name, optional in sorted(found.items())]


def _scrub(request: dict[str, Any]) -> bool:
    """Takes out what `min` does not tell; whether arguments were among it."""
    args = request["args"]
    kept = {key: value for key, value in args.items() if not key.startswith(("build-arg:", "label:"))}
    request["args"] = kept
    if root := request.get("root"):
        told = {key: value for key, value in root["request"]["args"].items() if key in kept or key.startswith("vcs:")}
        root["request"] = {"args": told} if told else {}
    request["secrets"] = request["ssh"] = []
    return len(kept) < len(args)


def _vcs_options(request: FrontendRequest | None) -> dict[str, str]:
    """What the frontend was told of the commit that a local context is of."""
    options = request.options if request else {}
    return {key: without_password(value) for key, value in options.items() if key.startswith("vcs:") and value}


def _vcs(request: FrontendRequest | None) -> dict[str, Any]:
    vcs = {key.removeprefix("vcs:"): value for key, value in sorted(_vcs_options(request).items())}
    return {"vcs": vcs} if vcs else {}


def _without_empty(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


def as_v02(made: Predicate) -> Predicate:
    """The same in the words of version 0.2."""
    definition, run = made["buildDefinition"], made["runDetails"]
    outer, inner, metadata = definition["externalParameters"], definition["internalParameters"], run["metadata"]
    source = dict(outer["configSource"])
    if "path" in source:
        source["entryPoint"] = source.pop("path")
    done = metadata["buildkit_completeness"]
    environment = {key: inner[key] for key in ("dockerfileVersion",) if key in inner}
    environment["platform"] = inner["builderPlatform"]
    converted: Predicate = {
        "builder": run["builder"],
        "buildType": _BUILD_TYPE_V02,
        **({"materials": definition["resolvedDependencies"]} if "resolvedDependencies" in definition else {}),
        "invocation": {
            "configSource": source,
            "parameters": outer["request"],
            "environment": environment,
        },
    }
    if "buildConfig" in inner:
        converted["buildConfig"] = inner["buildConfig"]
    converted["metadata"] = {
        "buildInvocationID": metadata["invocationId"],
        "buildStartedOn": metadata["startedOn"],
        "buildFinishedOn": metadata["finishedOn"],
        "completeness": {"parameters": done["request"], "environment": True, "materials": done["resolvedDependencies"]},
        "reproducible": metadata.get("buildkit_reproducible", False),
        f"{_BUILD_TYPE_V02}#metadata": metadata["buildkit_metadata"],
    }
    if metadata.get("buildkit_hermetic"):
        converted["metadata"][f"{_BUILD_TYPE_V02}#hermetic"] = True
    return converted


def encoded(fields: Predicate) -> str:
    """A predicate as it travels in a response: JSON in base64."""
    return base64.b64encode(oci.go_json(fields)).decode()
