"""Threads that take turns at small work, and give their turn away while something big is done for them."""

from __future__ import annotations

import os
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from support.in_process import Workplace

from engine import turns
from engine.archive import unpack
from engine.desk import Desk
from engine.ops.file.content import copy_content
from engine.turns import in_turn, out_of_turn


def others_may() -> bool:
    """Whether another thread can have its turn now. Asked without trying, for a loaded machine may be slow to try."""
    return not turns._turn.locked()


def test_one_thread_at_a_time_has_its_turn() -> None:
    inside, most, guard = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with in_turn():
                with guard:
                    inside += 1
                    most = max(most, inside)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == 1


def test_who_is_at_something_big_lets_others_in_and_waits_to_go_on() -> None:
    other_is_in, other_may_end, ended = threading.Event(), threading.Event(), []

    def other() -> None:
        with in_turn():
            other_is_in.set()
            assert other_may_end.wait(10)
            ended.append("other")

    thread = threading.Thread(target=other)
    with in_turn():
        thread.start()
        assert not other_is_in.wait(0.05)
        with out_of_turn():
            assert other_is_in.wait(10)
            other_may_end.set()
        ended.append("this one")
    thread.join()

    assert ended == ["other", "this one"]


def test_who_has_no_turn_has_none_to_give_away() -> None:
    with out_of_turn(), in_turn():
        pass
    with in_turn(), out_of_turn(), out_of_turn():
        pass
    with in_turn():  # all is free again
        pass


def test_what_goes_wrong_ends_a_turn() -> None:
    with pytest.raises(OSError, match="inside"), in_turn():
        raise OSError("inside")
    with pytest.raises(OSError, match="outside"), in_turn(), out_of_turn():
        raise OSError("outside")
    with in_turn():
        pass


def test_big_files_are_copied_out_of_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free: list[bool] = []
    copy = os.copy_file_range

    def watched(*arguments: Any) -> int:
        free.append(others_may())
        return copy(*arguments)

    monkeypatch.setattr(os, "copy_file_range", watched)
    (tmp_path / "big").write_bytes(os.urandom(1 << 20))
    with (tmp_path / "big").open("rb") as source, (tmp_path / "copy").open("wb") as target, in_turn():
        copy_content(source.fileno(), target.fileno(), os.fstat(source.fileno()))

    assert free == [True] * len(free) != []
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "big").read_bytes()


def test_steps_in_a_row_are_done_in_turn_and_archives_are_unpacked_out_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Workplace(tmp_path / "project", tmp_path / "root")
    place.write("docker-bake.hcl", 'target "default" {}\n')
    place.write("Dockerfile", "FROM scratch\nCOPY file /\nADD files.tar /\n")
    file = place.write("file", "content")
    with tarfile.open(place.folder / "files.tar", "w") as archive:
        archive.add(file, "other")
    free: list[tuple[str, bool]] = []
    run, extract = Desk.run, unpack.extract

    def running(*arguments: Any) -> Any:
        free.append(("step", others_may()))
        return run(*arguments)

    def extracting(*arguments: Any, **more: Any) -> Any:
        free.append(("archive", others_may()))
        return extract(*arguments, **more)

    monkeypatch.setattr(Desk, "run", running)
    monkeypatch.setattr(unpack, "extract", extracting)
    place.build_well()

    assert free == [("step", False), ("step", False), ("archive", True)]
