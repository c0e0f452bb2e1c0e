"""Modules that are imported when something of them is first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from bakery.deferred import defer

NAME = "a_package_that_is_deferred"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that leaves a file when it is imported."""
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('imported').touch()\nfrom . import part\nanswer = 42\n"
    )
    (folder / "part.py").write_text("word = 'part'\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def module() -> ModuleType:
    """The package, as an import statement gets it."""
    return importlib.import_module(NAME)


def test_it_is_imported_when_something_of_it_is_used(package: Path) -> None:
    defer(NAME)
    first, second = module(), module()
    assert first is second
    assert not (package / "imported").exists()
    assert first.answer == 42
    assert (package / "imported").exists()
    assert second.part.word == "part"
    assert module() is first


def test_what_it_does_not_have_it_does_not_have(package: Path) -> None:
    defer(NAME)
    with pytest.raises(AttributeError):
        module().question  # noqa: B018
    assert module().answer == 42
    with pytest.raises(AttributeError):
        module().question  # noqa: B018


def test_what_is_imported_already_stays(package: Path) -> None:
    before = module()
    defer(NAME)
    assert module() is before


def test_what_is_not_there_is_missed_when_it_is_imported() -> None:
    defer("a_package_that_nobody_has")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("a_package_that_nobody_has")
