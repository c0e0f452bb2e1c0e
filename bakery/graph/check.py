"""What is wrong with targets, found without building them: checks of their Dockerfiles, and of what the bake file gives
them against what those take.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.diagnostics import BakeryError, Diagnostic, Severity, Span, did_you_mean
from bakery.values import frozen

if TYPE_CHECKING:
    from bakery.config.target import Project, Target
    from bakery.graph.asking import Answer
    from engine.errors import EngineError
    from engine.frontends.contract import FrontendWarning
    from engine.frontends.dockerfile.facts import Facts
    from engine.llb.definition import Place

_PREDEFINED = frozenset(
    {"SOURCE_DATE_EPOCH", *(f"{kind}_proxy" for kind in ("http", "https", "ftp", "no", "all"))}
    | {f"{side}{part}" for side in ("BUILD", "TARGET") for part in ("PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT")}
)
_FILES = ("local", "tar", "oci", "docker")


@frozen
class Finding:
    """One thing that is wrong. Lines count from 1, columns too; 0 where they are not known. Ends are inclusive lines.

    `text` is the file's, for an excerpt; `targets` are the names of those that it is about.
    """

    rule: str
    message: str
    severity: Severity = Severity.WARNING
    file: str = ""
    line: int = 0
    end_line: int = 0
    column: int = 0
    end_column: int = 0
    hint: str = ""
    url: str = ""
    text: str = field(default="", compare=False)
    targets: tuple[str, ...] = ()


def findings(project: Project, answers: Mapping[str, Answer], cwd: Path) -> list[Finding]:
    """All that is wrong with a project's targets, in the order of files and lines, each thing once."""
    found = [of_diagnostic(warning, "BakeFile") for warning in project.warnings]
    for answer in answers.values():
        found += _of_answer(answer)
    targets = [project.targets[name] for name in answers]
    found += _shared_results(targets, cwd)
    return _merged(found)


def _merged(found: Iterable[Finding]) -> list[Finding]:
    """Each finding once, with all targets that it is about."""
    once: dict[Finding, list[str]] = {}
    for one in found:
        once.setdefault(replace(one, targets=()), []).extend(one.targets)
    merged = [replace(one, targets=tuple(dict.fromkeys(names))) for one, names in once.items()]
    return sorted(merged, key=lambda one: (one.file, one.line))


# ---------------------------------------------------------------- what others say


def of_error(error: BakeryError | EngineError, filename: str = "", targets: tuple[str, ...] = ()) -> list[Finding]:
    """What keeps a project or a target from being built."""
    if isinstance(error, BakeryError):
        return [replace(of_diagnostic(one, "BakeFile"), targets=targets) for one in error.diagnostics]
    place = error.places[0] if error.places else None
    finding = Finding("BuildError", error.message, Severity.ERROR, hint=error.hint, targets=targets)
    return [_placed(finding, place, filename)]


def of_diagnostic(diagnostic: Diagnostic, rule: str) -> Finding:
    """What was noticed about a bake file."""
    message = "; ".join(filter(None, (diagnostic.summary, diagnostic.detail)))
    return _spanned(Finding(rule, message, diagnostic.severity, hint=diagnostic.hint), diagnostic.span)


def _of_answer(answer: Answer) -> Iterator[Finding]:
    from engine.frontends.dockerfile.subrequests import Checked

    names = (answer.target.name,)
    if answer.error is not None:
        yield from of_error(answer.error, answer.filename, names)
    if not isinstance(answer.value, Checked):
        return
    checked = answer.value
    of_file = [_of_warning(warning, answer.filename, names) for warning in checked.warnings]
    if checked.error is not None:
        of_file += of_error(checked.error, answer.filename, names)
    yield from of_file if answer.target.dockerfile_inline is None else [_inline(one, answer.target) for one in of_file]
    if checked.facts is not None:
        yield from _given_and_taken(answer.target, checked.facts)


def _inline(finding: Finding, target: Target) -> Finding:
    """A finding in an inline Dockerfile, placed in the bake file: on its very line where that stands there as it is."""
    span = target.span_of("dockerfile-inline")
    if span is None or not finding.line:
        return finding
    rows, written = finding.text.split("\n"), span.file.text.split("\n")
    at = span.start.line + finding.line
    last = at + finding.end_line - finding.line
    if last <= len(written) and written[at - 1].strip() == rows[finding.line - 1].strip():
        indent = len(written[at - 1]) - len(written[at - 1].lstrip())
        indent -= len(rows[finding.line - 1]) - len(rows[finding.line - 1].lstrip())
        moved = replace(finding, file=span.file.name, text=span.file.text, line=at, end_line=last)
        if not finding.column:
            return moved
        return replace(moved, column=finding.column + indent, end_column=finding.end_column + indent)
    where = f"{finding.message} (line {finding.line} of the inline Dockerfile)"
    return _spanned(replace(finding, message=where, column=0, end_column=0), span)


def _of_warning(warning: FrontendWarning, filename: str, targets: tuple[str, ...]) -> Finding:
    place = warning.places[0] if warning.places else None
    finding = _placed(Finding(warning.rule, warning.detail, url=warning.url, targets=targets), place, filename)
    start = warning.focus.start if warning.focus else None
    end = warning.focus.end if warning.focus else None
    if start is None or end is None:
        return finding
    return replace(
        finding, line=start.line, end_line=end.line, column=start.character + 1, end_column=end.character + 1
    )


def _placed(finding: Finding, place: Place | None, filename: str) -> Finding:
    if place is None:
        return replace(finding, file=filename)
    lines = [r.start.line for r in place.ranges if r.start] or [0]
    return replace(
        finding,
        file=filename or place.source.filename,
        line=min(lines),
        end_line=max(lines),
        text=place.source.data.decode("utf-8", "replace"),
    )


def _spanned(finding: Finding, span: Span | None) -> Finding:
    if span is None:
        return finding
    return replace(
        finding,
        file=span.file.name,
        line=span.start.line,
        end_line=span.end.line,
        column=span.start.column,
        end_column=span.end.column,
        text=span.file.text,
    )


# ---------------------------------------------------------------- what bake itself can check


def _given_and_taken(target: Target, facts: Facts) -> Iterator[Finding]:
    """What a target gives its Dockerfile, and that takes nothing of the kind, or the other way round."""

    def said(rule: str, attribute: str, message: str, hint: str = "") -> Finding:
        finding = Finding(rule, message, hint=hint, targets=(target.name,))
        return _spanned(finding, target.span_of(attribute))

    for name in (name for name in target.args if name not in facts.args and not _is_predefined(name)):
        message = f'target {target.name} sets the argument "{name}", and no ARG in its Dockerfile takes it'
        yield said("UnusedArg", "args", message, _meant(name, facts.args))
    if not facts.open_names:
        for context in target.contexts:
            if context.partition("::")[0].lower().removesuffix(":latest") not in facts.names:
                message = f'target {target.name} has the context "{context}", and nothing in its Dockerfile uses it'
                yield said("UnusedContext", "contexts", message, _meant(context, facts.names))
    given = {secret.id for secret in target.secret}
    if not facts.open_secrets:
        for id in sorted(given - facts.secrets.keys()):
            message = f'target {target.name} gives the secret "{id}", and no RUN in its Dockerfile mounts it'
            yield said("UnusedSecret", "secret", message, _meant(id, facts.secrets))
    for id, required in facts.secrets.items():
        if required and "$" not in id and id not in given:
            message = f'a RUN in its Dockerfile requires the secret "{id}", and target {target.name} does not give it'
            yield said("MissingSecret", "secret", message, _meant(id, given))


def _is_predefined(name: str) -> bool:
    return name in _PREDEFINED or name.lower() in _PREDEFINED or name.startswith("BUILDKIT_")


def _meant(name: str, options: Iterable[str]) -> str:
    near = did_you_mean(name, options)
    return f'did you mean "{near}"?' if near else ""


def _shared_results(targets: Iterable[Target], cwd: Path) -> Iterator[Finding]:
    """Results of several targets that go to one place, where the last one wins."""
    places: dict[tuple[str, str], list[Target]] = defaultdict(list)
    for target in targets:
        for tag in dict.fromkeys(target.tags):
            places["tag", tag].append(target)
        dests = {
            str(cwd / entry.dest) for entry in target.output if entry.dest not in ("", "-") and entry.type in _FILES
        }
        for dest in dests:
            places["output", dest].append(target)
    for (kind, place), sharing in places.items():
        if len(sharing) < 2:
            continue
        names = " and ".join(target.name for target in sharing)
        what = f'the tag "{place}"' if kind == "tag" else f"the output {place}"
        rule, attribute = ("SharedTag", "tags") if kind == "tag" else ("SharedOutput", "output")
        finding = Finding(rule, f"targets {names} share {what}: the one that is done last wins")
        finding = replace(finding, targets=tuple(target.name for target in sharing))
        yield _spanned(finding, sharing[-1].span_of(attribute))
