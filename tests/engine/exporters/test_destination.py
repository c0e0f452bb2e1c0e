"""Where outputs go: files whole or not at all, links followed, devices and pipes written to and never replaced."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from engine.errors import ExportError
from engine.exporters.destination import output_file, written_file


def write(dest: Path, data: bytes) -> None:
    with output_file(str(dest)) as output:
        output.write(data)


def write_half(dest: Path) -> None:
    with output_file(str(dest)) as output:
        output.write(b"half")
        raise ZeroDivisionError


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    dest = tmp_path / "sub/image.tar"
    write(dest, b"first")
    with pytest.raises(ZeroDivisionError):
        write_half(dest)
    assert dest.read_bytes() == b"first"
    assert os.listdir(dest.parent) == ["image.tar"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real.tar")
    write(tmp_path / "link", b"data")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real.tar").read_bytes() == b"data"


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write(pipe, b"data")
    reader.join()
    assert read == [b"data"]
    assert pipe.is_fifo()
    assert written_file(str(pipe), {}).evidence == (), "nobody can see later that it is still there"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="it is a folder"):
        write(tmp_path, b"")
