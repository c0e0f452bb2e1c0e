"""`bakery doctor`: whether the state folder is sound, and whether this machine can run steps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from bakery.cli.apply_settings import state_folder
from bakery.cli.open_state import root_option
from bakery.values import frozen
from engine.errors import SPACE_HINT, EngineError

_EPILOG = """\b
Examples:
  bakery doctor           look, and change nothing
  bakery doctor --quick   the same without reading blobs and looking at every file of layers
  bakery doctor --deep    read every file of layers, too, and compare with blobs and the last time
  bakery doctor --fix     put right what can be put right"""


_UNUSABLE = ("format", "database")
"""What keeps the state folder from being used at all."""


@frozen
class Check:
    """How one thing is. `state` is `ok`, `warning` (bakery works, but not all of it) or `problem`."""

    name: str
    state: str
    text: str
    hint: str = ""


@click.command("doctor", epilog=_EPILOG)
@click.option("fix", "--fix", is_flag=True, help="Put right what can be put right.")
@click.option("depth", "--quick", flag_value="quick", help="Read no blobs, and look at no files of layers.")
@click.option("depth", "--deep", flag_value="deep", help="Read every file of layers.")
@click.option("form", "--format", type=click.Choice(["table", "json"]), default="table", help="How to write it.")
@root_option
def doctor(fix: bool, depth: str | None, form: str, root: str | None) -> int:
    """Check the state folder and this machine."""
    from engine.snapshots import user_namespace

    folder = state_folder(root)
    user_namespace.enter()
    checks = [*_state_checks(folder, fix, depth or "usual"), *_machine_checks(folder)]
    if not any(check.name in _UNUSABLE for check in checks):
        checks += _sandbox_checks(folder)  # which opens the folder, and that would mend a damaged database
    if form == "json":
        fields = [{"name": c.name, "state": c.state, "text": c.text, "hint": c.hint} for c in checks]
        click.echo(json.dumps(fields, indent=2, ensure_ascii=False))
    else:
        for check in checks:
            click.echo(f"{check.state:8} {check.name}: {check.text}")
            if check.hint:
                click.echo(f"{'':8} {check.hint}")
    return 1 if any(check.state == "problem" for check in checks) else 0


def _state_checks(folder: Path, fix: bool, depth: str) -> Iterator[Check]:
    from engine.cache.repair import Depth, Finding, Kind, examine, mend

    def wrong() -> list[Finding]:
        return [finding for finding in examine(folder, Depth[depth.upper()]) if finding.kind is not Kind.UNREAD]

    try:
        found = examine(folder, Depth[depth.upper()])
        findings = [finding for finding in found if finding.kind is not Kind.UNREAD]
        for finding in found:
            if finding.kind is Kind.UNREAD:
                yield Check("layers read", "warning", finding.text, "from now on --deep can compare them")
        for _ in range(3 if fix else 0):  # behind a damaged database there may be more
            if not findings:
                break
            for sentence in mend(folder, findings):
                yield Check("state folder", "fixed", sentence)
            findings = wrong()
    except EngineError as error:
        yield Check("state folder", "problem", error.message, error.hint)
        return
    for finding in findings:
        harmless = finding.kind is Kind.LEFTOVERS
        hint = "" if fix else "`bakery doctor --fix` puts it right"
        if hint and finding.kind is not Kind.CONTENT:  # which no build looks for
            hint += "; so does the next build, as far as it needs it"
        yield Check(str(finding.kind.value), "warning" if harmless else "problem", finding.text, hint)
    if not findings:
        what = "sound" if (folder / "version").exists() else "not made yet"
        yield Check("state folder", "ok", f"{folder} is {what}")


def _machine_checks(folder: Path) -> Iterator[Check]:
    yield _space_check(folder)
    yield _user_check()
    if shutil.which("git"):
        yield Check("git", "ok", "found")
    else:
        yield Check("git", "warning", "not found: git repositories cannot be contexts", "install git")


def _space_check(folder: Path) -> Check:
    from bakery.console.text import size
    from engine.disks import reserve_of

    place = next(path for path in (folder, *folder.parents) if path.exists())
    usage = shutil.disk_usage(place)
    text = f"{size(usage.free)} of {size(usage.total)} are free"
    if usage.free < reserve_of(usage.total):
        return Check("disk", "problem", text, SPACE_HINT)
    return Check("disk", "ok", text)


def _user_check() -> Check:
    from engine.snapshots import user_namespace

    if not user_namespace.privileged():
        return Check("user", "problem", user_namespace.problem(), "run as root, or allow user namespaces")
    hint = user_namespace.hint()
    return Check("user", "warning", hint) if hint else Check("user", "ok", "may mount and change owners")


def _sandbox_checks(folder: Path) -> Iterator[Check]:
    from engine.sandbox.runtimes import find_runtime
    from engine.snapshots.store import SnapshotStore
    from engine.state import State

    try:
        state = State.open(folder)
    except EngineError:
        return  # told already
    try:
        runtime = find_runtime("", state)
        yield Check("sandbox", "ok", f"steps run with the runtime {runtime.name}")
    except EngineError as error:
        yield Check("sandbox", "problem", error.message, error.hint)
    snapshots = SnapshotStore(state)
    try:
        if snapshots.overlay:
            yield Check("overlayfs", "ok", "works")
        else:
            yield Check("overlayfs", "warning", "does not work here: layers are copied, which takes time and space")
    except EngineError as error:
        yield Check("overlayfs", "problem", error.message, error.hint)
    finally:
        snapshots.close()
        state.close()
