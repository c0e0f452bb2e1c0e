"""Outputs looked at before a build begins: what they are told wrongly should not come out after an hour of work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.diagnostics import BakeryError, Diagnostic
from bakery.graph.outputs import exports
from bakery.graph.statements import attests

if TYPE_CHECKING:
    from bakery.config.target import Project, Target
    from engine.exporters.contract import Export

_ARCHIVES = ("tar", "oci", "docker")


def check_outputs(project: Project, cwd: Path) -> None:
    """Opens each output of each target, as its export will.

    Raises:
        BakeryError: with all that cannot work, each at its place.
    """
    problems: list[Diagnostic] = []
    to_stdout: list[Target] = []
    for target in project.targets.values():
        found = exports(target, cwd)
        problems += _mistakes(target, found)
        to_stdout += [target for export in found if _is_stdout(export)]
    if len(to_stdout) > 1:
        problems.append(
            Diagnostic(
                "multiple outputs configured to write to stdout",
                f"they are of {', '.join(target.name for target in to_stdout)}",
                to_stdout[1].span_of("output"),
                hint="give all but one a dest",
            )
        )
    if problems:
        raise BakeryError(*problems)


def _mistakes(target: Target, found: tuple[Export, ...]) -> Iterator[Diagnostic]:
    from engine.errors import EngineError
    from engine.exporters import open_exporter

    for export in found:
        message, hint = _does_not_fit(target, export)
        try:
            open_exporter(export)
        except EngineError as error:
            message, hint = error.message, error.hint
        if message:
            yield Diagnostic(f"target {target.name}: {message}", "", target.span_of("output"), hint=hint)
        elif _annotates_an_index(export) and not _makes_an_index(target, export):
            place = target.span_of("annotations" if target.annotations else "output")
            summary = f"target {target.name}: annotation of an index, but the output has one platform and so no index"
            yield Diagnostic(summary, "", place, hint="annotate the manifest, or set several platforms")


def _does_not_fit(target: Target, export: Export) -> tuple[str, str]:
    """What is wrong with an output of this very target, and what to do; nothing if it fits."""
    attested = any(not attest.inline_only for attest in attests(target))
    if export.type == "docker" and len(target.platforms) > 1:
        return "a docker archive holds one platform only", "use type=oci, or choose one platform"
    if export.type == "docker" and attested:
        return "a docker archive cannot hold attestations", "use type=oci, or leave out attest for this output"
    if attested and export.attributes.get("oci-mediatypes") == "false":
        return 'attestations cannot be exported with "oci-mediatypes=false"', "leave out one of the two"
    return "", ""


def _annotates_an_index(export: Export) -> bool:
    return any(key.startswith("annotation-index") for key in export.attributes)


def _makes_an_index(target: Target, export: Export) -> bool:
    """Whether an output of several images, or of one with statements about it, can come of this."""
    if len(target.platforms) > 1 or target.combine or "BUILDKIT_MULTI_PLATFORM" in target.args:
        return True
    inline = export.type == "image" or "attestation-inline" in export.attributes
    return any(inline or not attest.inline_only for attest in attests(target))


def _is_stdout(export: Export) -> bool:
    dest = export.attributes.get("dest", "")
    return export.type in _ARCHIVES and (dest == "-" or (not dest and export.type != "docker"))
