"""Modules that are imported when something of them is first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

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


def test_a_function_imported_by_name_is_no_use_of_it(package: Path) -> None:
    (package / "__init__.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('imported').touch()\n"
        "def add(one, other=1):\n    return one + other\n"
    )
    defer(NAME, "add")
    scope: dict[str, Any] = {}
    exec(f"from {NAME} import add", scope)
    assert not (package / "imported").exists()
    assert scope["add"](1, other=2) == 3
    assert (package / "imported").exists()
    assert module().add(1) == 2


def test_a_stand_in_answers_until_the_module_is_there(package: Path) -> None:
    (package / "__init__.py").write_text("def name():\n    return 'its own'\nanswer = 42\n")
    defer(NAME, name=lambda: "the stand-in's")
    assert module().name() == "the stand-in's"
    assert module().answer == 42
    assert module().name() == "its own"


def test_a_module_of_a_package_is_found_through_its_package(package: Path) -> None:
    defer(f"{NAME}.part")
    assert "word" not in vars(module().part)
    assert module().part.word == "part"


def test_threads_that_use_it_at_once_all_get_it(package: Path) -> None:
    (package / "__init__.py").write_text("import time\nfirst = 1\ntime.sleep(0.2)\nsecond = 2\n")
    defer(NAME)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: module().second, range(4))) == [2, 2, 2, 2]
