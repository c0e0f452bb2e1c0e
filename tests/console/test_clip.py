from support.build_story import digest, done, said

from bakery.console.clip import KEPT_BACK, Clip, Limits
from engine.events import Event, LogChunk


def through(clip: Clip, *events: Event) -> bytes:
    out = [shown for event in events for shown in clip(event)]
    return b"".join(event.data for event in out if isinstance(event, LogChunk))


def test_what_keeps_to_the_limits_is_not_touched() -> None:
    assert through(Clip(Limits(100, 10)), said(1, 0, b"12345"), said(1, 0.5, b"67890"), done(1, 1)) == b"1234567890"


def test_a_fast_step_is_clipped_and_its_end_shown_when_it_completes() -> None:
    clip = Clip(Limits(size=10_000_000, speed=1024))
    text = through(clip, said(1, 0, b"a" * 1024), said(1, 0.1, b"b" * 10), said(1, 0.2, b"c"))
    assert text == b"a" * 1024 + b"\n[output clipped, log limit 1KiB/s reached]\n"
    assert through(clip, done(1, 1)) == b"b" * 10 + b"c"


def test_the_limit_in_all_is_said_once_and_keeps_back_no_more_than_the_end() -> None:
    clip = Clip(Limits(size=2048, speed=-1))
    text = through(clip, *(said(1, at, bytes([65 + at]) * 1024) for at in range(5)))
    assert text == b"A" * 1024 + b"B" * 1024 + b"\n[output clipped, log limit 2KiB reached]\n"
    big = b"z" * (KEPT_BACK + 100)
    assert through(clip, said(1, 9, big), done(1, 10)) == b"z" * KEPT_BACK


def test_without_limits_everything_passes() -> None:
    data = b"x" * 10_000_000
    assert through(Clip(Limits(-1, -1)), said(1, 0, data), done(1, 0)) == data


def test_steps_do_not_share_a_limit() -> None:
    assert through(Clip(Limits(4, -1)), said(1, 0, b"aaaa"), said(2, 0, b"bbbb")) == b"aaaabbbb"


def test_the_environment_sets_the_limits() -> None:
    assert Limits.of({}) == Limits(2 * 1024 * 1024, 200 * 1024)
    assert Limits.of({"BUILDKIT_STEP_LOG_MAX_SIZE": "-1", "BUILDKIT_STEP_LOG_MAX_SPEED": "7"}) == Limits(-1, 7)
    assert Limits.of({"BUILDKIT_STEP_LOG_MAX_SIZE": "lots"}) == Limits()


def test_other_events_pass_in_order() -> None:
    clip = Clip(Limits(1, -1))
    assert [type(e).__name__ for e in clip(said(1, 0, b"abc"))] == ["LogChunk"]
    last = list(clip(done(1, 2)))
    assert [e.digest for e in last] == [digest(1), digest(1)]
    assert isinstance(last[0], LogChunk)
