"""File operations that fail, one after another: a clear error or none at all, and the next build is right."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.killable import Fault, Killable
from support.soundness import begin_round, check_build, check_state, check_words

pytestmark = pytest.mark.root

CALLS = range(120)
SOME = range(0, 120, 12)


def fail_at(bakery: Killable, project: Path, root: Path, error: int, calls: Iterable[int]) -> int:
    """How many of the builds failed, of which each met one error at another call."""
    failed = 0
    check_build(bakery, project, 0)
    for number, call in enumerate(calls, 1):
        begin_round(project, number)
        if bakery.run("build", "--progress=plain", fault=Fault(error, call)):
            failed += 1
            check_words(bakery)
        check_state(root)
        if number % 10 == 0:
            check_build(bakery, project, number)
    begin_round(project, 0)
    check_build(bakery, project, 0)
    return failed


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_some_calls_that_fail(bakery: Killable, project: Path, tmp_path: Path, error: int) -> None:
    assert fail_at(bakery, project, tmp_path / "root", error, SOME) > 0


@pytest.mark.slow
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_all_other_calls_that_fail(bakery: Killable, project: Path, tmp_path: Path, error: int) -> None:
    assert fail_at(bakery, project, tmp_path / "root", error, sorted({*CALLS} - {*SOME})) > 20
