"""Changes of files: from the first answer on none is missed, and being cancelled takes no time."""

from __future__ import annotations

from pathlib import Path

import trio
from support.patience import PATIENCE

from bakery.watch.files import changes


async def _first(folder: Path, *, deep: bool) -> set[Path]:
    """What is told of a change that is made as soon as the watch has begun."""
    with trio.fail_after(PATIENCE):
        watch = changes([folder], lambda path: path.name != "aside", deep=deep)
        assert await anext(watch) == set()
        for name in ("aside", "sub/file", "file"):
            (folder / name).write_text("x")
        seen: set[Path] = set()
        async for paths in watch:
            seen |= paths
            if folder / "file" in seen:
                break
        await watch.aclose()  # type: ignore[attr-defined]
        return seen


def test_a_change_right_after_the_beginning_is_told(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert trio.run(lambda: _first(tmp_path, deep=True)) >= {tmp_path / "file", tmp_path / "sub/file"}


def test_folders_in_a_folder_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    seen = trio.run(lambda: _first(tmp_path, deep=False))
    assert tmp_path / "sub/file" not in seen
    assert tmp_path / "aside" not in seen


def test_a_watch_that_waits_can_be_cancelled(tmp_path: Path) -> None:
    async def wait() -> bool:
        watch = changes([tmp_path], lambda path: True, deep=True)
        await anext(watch)
        with trio.move_on_after(0.01) as scope:
            await anext(watch)
        return scope.cancelled_caught

    assert trio.run(wait)
