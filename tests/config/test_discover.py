"""Definition files that are no ordinary files."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.config import LoadRequest, discover, load
from bakery.config.discover import read
from bakery.diagnostics import BakeryError

BAKE = "# a long file\n" * 20_000


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "docker-bake.hcl"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(BAKE,))
    writer.start()
    found = read("docker-bake.hcl", tmp_path)
    writer.join()
    assert found is not None
    assert found.file.text == BAKE


def test_a_pipe_of_the_shell_is_read(tmp_path: Path) -> None:
    with subprocess.Popen(["printf", "target"], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        found = read(f"/dev/fd/{writer.stdout.fileno()}", tmp_path)
    assert found is not None
    assert found.file.text == "target"


def test_a_pipe_that_nobody_writes_into_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discover, "PATIENCE", 0)
    os.mkfifo(tmp_path / "docker-bake.hcl")
    with pytest.raises(BakeryError, match="a pipe into which nobody writes for 0 seconds"):
        read("docker-bake.hcl", tmp_path)


def test_bytes_that_are_no_text_are_shown_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_bytes('# "é"\ntarget "d\u00e9" {}\nx = "'.encode() + b'caf\xe9"\n')
    with pytest.raises(BakeryError) as raised:
        read("docker-bake.hcl", tmp_path)
    (problem,) = raised.value.diagnostics
    assert str(problem) == "docker-bake.hcl:3,9-10: Not UTF-8; the byte 0xe9 is no text here"
    assert problem.hint == "save it as UTF-8"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encodings_are_known_by_their_mark(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "bakery.hcl").write_bytes('target "default" {}\n'.encode(encoding))
    with pytest.raises(BakeryError, match=f"bakery.hcl: not UTF-8; the file begins like one in {encoding.upper()}"):
        read("bakery.hcl", tmp_path)


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("gone")])
def test_a_well_known_name_that_is_no_definition_is_named(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "bakery.hcl")
    with pytest.raises(BakeryError, match="couldn't find a bake definition") as raised:
        load(LoadRequest(cwd=tmp_path))
    assert raised.value.diagnostics[0].hint == "bakery.hcl is there, but it is empty, or no ordinary file"
