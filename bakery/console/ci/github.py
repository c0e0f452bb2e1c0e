"""GitHub Actions: annotations, groups, and the summary of a step.

Forms: docs.github.com, "Workflow commands for GitHub Actions"; a summary may have 1 MiB a step. That of a build is left
out with DOCKER_BUILD_SUMMARY=false, annotations with DOCKER_BUILD_CHECKS_ANNOTATIONS=false, as in Docker's own actions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bakery.console.ci.problems import Problem, log_tail
from bakery.console.text import duration, plural, printable, size
from engine.events import Warned
from engine.request import BuildResult, Outcome, TargetResult

ANNOTATIONS = 50
"""GitHub shows no more than ten of each kind a step, and fifty a job."""
LARGEST = 1024 * 1024
_MARKS = {
    Outcome.SUCCEEDED: "✅ built",
    Outcome.CACHED: "✅ cached",
    Outcome.FAILED: "❌ failed",
    Outcome.CANCELLED: "⚪ canceled",
    Outcome.NOT_STARTED: "⚪ not started",
}


def wants_annotations(env: Mapping[str, str]) -> bool:
    """Whether an environment is a job of GitHub's that may be annotated."""
    refused = env.get("DOCKER_BUILD_CHECKS_ANNOTATIONS", "").lower() in ("0", "false")
    return env.get("GITHUB_ACTIONS") == "true" and not refused


def checkout(env: Mapping[str, str]) -> Path:
    """The folder that annotated files are relative to."""
    return Path(env.get("GITHUB_WORKSPACE") or Path.cwd())


def annotate(found: Iterable[Problem]) -> str:
    """Workflow commands that GitHub shows at the lines of the files."""
    return "".join(_annotation(problem) + "\n" for problem in list(found)[:ANNOTATIONS])


def group(title: str) -> str:
    """The beginning of lines that are folded away under a title."""
    return f"::group::{_data(title)}\n"


def end_group() -> str:
    """Their end."""
    return "::endgroup::\n"


def stop_commands(word: str) -> str:
    """From here on nothing that a step says is taken for a command (GitHub finds `##[…]` anywhere in a line)."""
    return f"::stop-commands::{word}\n"


def go_on_with_commands(word: str) -> str:
    """Until here. Whoever does not know the word cannot say it."""
    return f"::{word}::\n"


def summary(result: BuildResult, warnings: Sequence[Warned], slowest: Sequence[tuple[str, float]], build: str) -> str:
    """The summary of a step, in Markdown, no larger than GitHub takes."""
    parts = [_head(result, build), _table(result.targets.values())]
    parts += [_failure(target) for target in result.targets.values() if target.outcome is Outcome.FAILED]
    if slowest:
        rows = "".join(f"| {duration(took)} | {_cell(name)} |\n" for name, took in slowest)
        parts.append(f"### Slowest steps\n\n| Time | Step |\n|---:|---|\n{rows}")
    if warnings:
        lines = "".join(f"- {_cell(text)}\n" for text in dict.fromkeys(warning.short for warning in warnings))
        parts.append(f"### Warnings\n\n{lines}")
    whole = "\n".join(parts) + "\n"
    if len(whole.encode()) <= LARGEST:
        return whole
    return "\n".join([parts[0], "The targets are too many to be listed here; see the log.\n"])


def _head(result: BuildResult, build: str) -> str:
    ended = list(result.targets.values())
    failed = sum(target.outcome is Outcome.FAILED for target in ended)
    built = sum(target.outcome in (Outcome.SUCCEEDED, Outcome.CACHED) for target in ended)
    word = f"{failed} of {plural(len(ended), 'target')} failed" if failed else f"{plural(built, 'target')} built"
    if not failed and built < len(ended):
        word = f"canceled, with {built} of {plural(len(ended), 'target')} built"
    steps, hits = sum(target.steps for target in ended), sum(target.hits for target in ended)
    return f"## bakery: {word}\n\n{hits:,} of {plural(steps, 'step')} cached. Build `{build}`.\n"


def _table(targets: Iterable[TargetResult]) -> str:
    lines = ["| Target | Result | Time | Cached | Size | Digest | Names |", "|---|---|---:|---:|---:|---|---|"]
    for target in targets:
        names = target.metadata.get("image.name", "").split(",")
        digest = target.metadata.get("containerimage.digest", "")
        cells = [
            f"`{_cell(target.name)}`",
            _MARKS[target.outcome],
            duration(target.seconds),
            f"{target.hits}/{target.steps}",
            size(target.size) if target.size else "",
            f"`{digest[:19]}`" if digest else "",
            "<br>".join(f"`{_cell(name)}`" for name in names if name),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _failure(target: TargetResult) -> str:
    lines = [str(target.error), "", *log_tail(target)]
    text = "\n".join(printable(line.encode("utf-8", "replace")) for line in lines).rstrip()
    # A fence longer than any in the text.
    fence = "`" * (1 + max((len(run) for run in _runs(text)), default=2))
    return (
        f"<details open><summary>❌ <b>{_html(target.name)}</b></summary>\n\n{fence}\n{text}\n{fence}\n\n</details>\n"
    )


def _runs(text: str) -> list[str]:
    return [part for part in "".join(c if c == "`" else " " for c in text).split() if len(part) >= 3]


def _annotation(problem: Problem) -> str:
    properties = {"title": problem.title}
    if problem.file:
        properties |= {"file": problem.file, "line": str(problem.line)}
        if problem.end_line > problem.line:
            properties["endLine"] = str(problem.end_line)
    text = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    lines = (printable(line.encode("utf-8", "replace")) for line in problem.message.split("\n"))
    return f"::{problem.level} {text}::{_data(chr(10).join(lines))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    line = printable(text.replace("\n", " ").encode("utf-8", "replace"))
    return _html(line).replace("|", "\\|").replace("`", "&#96;")


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
