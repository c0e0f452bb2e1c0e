"""A build as a JUnit report: a suite with one case for each target, as GitLab, Jenkins and others read it.

There is no standard; this keeps to what all of them take (`testsuites`, `testsuite`, `testcase` with `failure`,
`skipped`, `system-out`), with no attribute that Jenkins' schema (`junit-10.xsd` of its xUnit plug-in) would refuse.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from bakery.console.ci.problems import log_tail
from bakery.console.text import printable
from engine.request import BuildResult, Outcome, TargetResult

# What XML 1.0 has no place for (§2.2).
_UNFIT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(result: BuildResult, seconds: float) -> str:
    """The report. `seconds`: how long the whole build took."""
    targets = list(result.targets.values())
    failed = sum(target.outcome is Outcome.FAILED for target in targets)
    skipped = sum(target.outcome in (Outcome.CANCELLED, Outcome.NOT_STARTED) for target in targets)
    counts = f'tests="{len(targets)}" failures="{failed}" errors="0" time="{seconds:.3f}"'
    cases = "".join(_case(target) for target in targets)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="bakery" {counts}>\n<testsuite name="bakery build" {counts} skipped="{skipped}">\n'
        f"{cases}</testsuite>\n</testsuites>\n"
    )


def _case(target: TargetResult) -> str:
    head = f'<testcase classname="bakery" name={_attribute(target.name)} time="{target.seconds:.3f}">\n'
    return f"{head}{_ending(target)}<system-out>{_text(_facts(target))}</system-out>\n</testcase>\n"


def _ending(target: TargetResult) -> str:
    if target.outcome is Outcome.FAILED:
        message = str(target.error or "failed")
        text = "\n".join([message, "", *log_tail(target)])
        kind = type(target.error).__name__ if target.error else "failed"
        return f'<failure message={_attribute(message)} type="{kind}">{_text(text)}</failure>\n'
    if target.outcome in (Outcome.CANCELLED, Outcome.NOT_STARTED):
        return f"<skipped message={_attribute(target.outcome.value)}/>\n"
    return ""


def _facts(target: TargetResult) -> str:
    facts = {
        "result": target.outcome.value,
        "cached": f"{target.hits}/{target.steps}",
        "digest": target.metadata.get("containerimage.digest", ""),
        "names": target.metadata.get("image.name", ""),
    }
    return "".join(f"{key}: {value}\n" for key, value in facts.items() if value)


def _text(text: str) -> str:
    lines = (printable(line.encode("utf-8", "replace")) for line in text.split("\n"))
    return escape(_UNFIT.sub("", "\n".join(lines)))


def _attribute(text: str) -> str:
    return quoteattr(_UNFIT.sub("", text))
