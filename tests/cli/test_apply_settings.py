"""Flags come before the environment, that before settings; what nobody says has its usual value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakery.cli.apply_settings import apply_settings

NOTHING: dict[str, Any] = {"files": (), "root": None, "progress": None, "runtime": "", "jobs": None}


@pytest.fixture(autouse=True)
def nothing_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    for name in ("BAKERY_ROOT", "BAKERY_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_set_is_the_usual(tmp_path: Path) -> None:
    options = dict(NOTHING)
    apply_settings(options)
    assert options == NOTHING | {"progress": "auto", "runtime": None}


def test_settings_stand_in_for_flags_that_were_not_given(tmp_path: Path) -> None:
    (tmp_path / "bakery.toml").write_text('root = "r"\nprogress = "plain"\nruntime = "crun"\nmax-parallelism = 3\n')
    options = dict(NOTHING)
    apply_settings(options)
    assert options == NOTHING | {"root": str(tmp_path / "r"), "progress": "plain", "runtime": "crun", "jobs": 3}
    given = NOTHING | {"root": "/x", "progress": "tty", "runtime": "runc", "jobs": 1}
    options = dict(given)
    apply_settings(options)
    assert options == given


def test_the_environment_comes_before_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bakery.toml").write_text('root = "r"\n')
    monkeypatch.setenv("BAKERY_ROOT", "/env")
    options = dict(NOTHING)
    apply_settings(options)
    assert options["root"] is None


def test_a_definition_from_elsewhere_brings_no_settings(tmp_path: Path) -> None:
    (tmp_path / "bakery.toml").write_text("max-parallelism = 3\n")
    options = dict(NOTHING)
    apply_settings(options, remote=True)
    assert options["jobs"] is None


def test_policies_and_times_of_builds_may_be_set(tmp_path: Path) -> None:
    nothing = {"jobs_per_target": None, "on_error": None, "timeout": None, "step_timeout": None}
    (tmp_path / "bakery.toml").write_text(
        'jobs = 5\njobs-per-target = 2\non-error = "fail-fast"\ntimeout = "1h30m"\nstep-timeout = 90\n'
    )
    options: dict[str, Any] = NOTHING | nothing
    apply_settings(options)
    wanted = {"jobs_per_target": 2, "on_error": "fail-fast", "timeout": 5400.0, "step_timeout": 90.0}
    assert {name: options[name] for name in wanted} == wanted
    assert options["jobs"] == 5
    given = NOTHING | {"jobs_per_target": 1, "on_error": "keep-going", "timeout": 1.0, "step_timeout": 2.0}
    options = dict(given)
    apply_settings(options)
    assert {name: options[name] for name in wanted} == {name: given[name] for name in wanted}
