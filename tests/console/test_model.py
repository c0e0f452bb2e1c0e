from hypothesis import given
from hypothesis import strategies as st
from support.build_story import cached, cancelled, digest, done, failed, failing_build, known, said, started

from bakery.console.model import LONGEST_LINE, Clock, LogLine, Model, State

intervals = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 20)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=12
)


@given(intervals)
def test_a_clock_measures_the_union_of_its_intervals(spans: list[tuple[int, int]]) -> None:
    clock = Clock()
    # At the same moment starts come first, as they do when work is handed on.
    points = sorted([(a, 0) for a, _ in spans] + [(b, 1) for _, b in spans])
    for time, kind in points:
        (clock.stop if kind else clock.start)(float(time))
    union = {second for a, b in spans for second in range(a, b)}
    assert clock.seconds(1000.0) == len(union)


def test_a_step_that_runs_counts_until_now() -> None:
    clock = Clock()
    clock.start(10.0)
    assert clock.seconds(12.5) == 2.5


def test_states_and_counts_follow_the_events() -> None:
    model = Model()
    seen = []
    for event in failing_build():
        model.apply(event)
        seen.append((model.finished, model.total, model.cached))
    assert seen[-1] == (5, 5, 1)
    assert [step.state for step in model.steps.values()] == [
        State.DONE,
        State.CACHED,
        State.FAILED,
        State.CANCELLED,
        State.DONE,
    ]
    assert [step.title for step in model.failures()] == ["[build 1/2] RUN make"]
    assert not model.running


def test_a_step_that_starts_again_is_no_longer_finished() -> None:
    model = Model()
    for event in (known(1, "a"), cached(1, 0), started(1, 1)):
        model.apply(event)
    assert (model.finished, model.total, model.cached, list(model.running)) == (0, 1, 0, [digest(1)])
    assert model.apply(done(1, 2)).step.state is State.DONE


def test_a_failure_after_a_look_up_that_went_well_is_a_failure() -> None:
    model = Model()
    for event in (known(1, "a"), started(1, 0), done(1, 1), started(1, 2), failed(1, 3, "no")):
        change = model.apply(event)
    assert (change.step.state, change.step.error) == (State.FAILED, "no")


def test_a_shared_step_names_the_targets_that_want_it() -> None:
    model = Model(("a", "b", "c", "d"))
    one, two, many, none = (
        model.apply(event).step
        for event in (
            known(1, "[x 1/2] RUN a", "a"),
            known(2, "exporting", "a", "b"),
            known(3, "[x 2/2] RUN b", "a", "b", "c"),
            known(4, "[internal] load"),
        )
    )
    titles = [model.title(step) for step in (one, two, many, none)]
    assert titles == ["[a x 1/2] RUN a", "a,b exporting", "[a+2 x 2/2] RUN b", "[internal] load"]


def test_lines_are_put_together_whatever_the_chunks() -> None:
    model = Model()
    for event in (known(1, "a"), started(1, 0)):
        model.apply(event)
    assert model.apply(said(1, 1, b"one\ntw")).lines == (LogLine(1.0, b"one"),)
    assert model.apply(said(1, 2, b"o\n\nthree")).lines == (LogLine(1.0, b"two"), LogLine(2.0, b""))
    assert model.apply(cancelled(1, 3)).lines == (LogLine(2.0, b"three"),)


def test_a_line_without_end_needs_no_more_memory_than_its_limit() -> None:
    model = Model()
    model.apply(known(1, "a"))
    for _ in range(10):
        step = model.apply(said(1, 1, b"x" * LONGEST_LINE)).step
        assert len(step.partial) <= LONGEST_LINE
    step = model.apply(said(1, 2, b"\n" + b"50%\r" * LONGEST_LINE)).step
    assert step.partial == b"50%\r"


def test_what_belongs_to_no_known_vertex_is_shown_by_its_digest() -> None:
    model = Model()
    assert model.apply(started(7, 0)).step.title == digest(7)
