"""Threads that take turns at small work, and give their turn away while something big is done for them."""

from __future__ import annotations

import threading

import pytest

from engine.turns import in_turn, out_of_turn


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
