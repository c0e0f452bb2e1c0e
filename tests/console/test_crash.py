import os
import stat
from pathlib import Path

import pytest

from bakery.console.crash import without_values, write_report


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKERY_ROOT", str(tmp_path))
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def crash() -> Exception:
    try:
        raise KeyError("lost")
    except KeyError as error:
        return error


def test_a_report_has_the_traceback_and_is_for_its_owner_only(folder: Path) -> None:
    path = write_report(crash())
    assert path is not None
    assert path.parent == folder
    text = path.read_text()
    assert "KeyError: 'lost'" in text
    assert "in crash" in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_state_folder_it_goes_to_the_temporary_one_and_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKERY_ROOT", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = write_report(crash())
    assert path is not None
    assert path.parent == tmp_path
    assert os.listdir(tmp_path) == [path.name]


def test_values_on_the_command_line_stay_out() -> None:
    assert without_values(["bakery", "build", "--set", "*.args.TOKEN=abc", "--var=PASS=x", "app"]) == [
        "bakery", "build", "--set", "*.args.TOKEN=…", "--var=…", "app",
    ]  # fmt: skip
