"""A stream between two threads: in order, to its end or its error, and nobody waits for one who has left."""

from __future__ import annotations

import threading

import pytest

from engine.archive.errors import ArchiveError
from engine.sources.pipe import AHEAD, Pipe


def test_pieces_come_in_order_and_the_end_stays_the_end() -> None:
    pipe = Pipe()
    for number in range(AHEAD):
        assert pipe.write(b"%d" % number)
    pipe.end()
    assert [pipe.read() for _ in range(AHEAD)] == [b"%d" % number for number in range(AHEAD)]
    assert (pipe.read(), pipe.read()) == (b"", b"")


def test_an_error_comes_after_the_pieces_before_it_and_stays() -> None:
    pipe = Pipe()
    pipe.write(b"piece")
    pipe.end(ArchiveError("cut off"))
    assert pipe.read() == b"piece"
    for _ in range(2):
        with pytest.raises(ArchiveError, match="cut off"):
            pipe.read()


def test_a_writer_never_gets_far_ahead() -> None:
    pipe, written = Pipe(), []

    def write() -> None:
        for number in range(100):
            pipe.write(b"%d" % number)
            written.append(number)
        pipe.end()

    writer = threading.Thread(target=write)
    writer.start()
    read = 0
    while pipe.read():
        read += 1
        assert len(written) <= read + AHEAD
    writer.join()
    assert read == 100


def test_a_writer_does_not_wait_for_a_reader_that_has_left() -> None:
    pipe, answers = Pipe(), []

    def write() -> None:
        while pipe.write(b"piece"):
            answers.append(True)

    writer = threading.Thread(target=write)
    writer.start()
    assert pipe.read() == b"piece"
    pipe.leave()
    writer.join()
    assert len(answers) <= AHEAD + 1
