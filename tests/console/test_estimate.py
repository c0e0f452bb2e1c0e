"""What is left of a build, by what its steps took before."""

from support.build_story import START, cached, done, known, started

from bakery.console.estimate import PATIENCE, Estimate, remaining
from bakery.console.model import Model
from bakery.history.durations import Durations
from engine.events import Event


def after(events: list[Event]) -> Model:
    model = Model(["api"])
    for event in events:
        model.apply(event)
    return model


def past(**seconds: float) -> Durations:
    return Durations({}, {("api", name): took for name, took in seconds.items()})


CHAIN: list[Event] = [known(1, "a", "api"), known(2, "b", "api", inputs=(1,)), known(3, "c", "api", inputs=(2,))]


def test_a_chain_takes_what_its_steps_took() -> None:
    model = after([*CHAIN, started(1, 0)])
    assert remaining(model, START + 4, past(a=10, b=5, c=3)) == 6 + 5 + 3


def test_a_step_that_takes_longer_than_before_is_expected_to_end_at_once() -> None:
    assert remaining(after([*CHAIN, started(1, 0)]), START + 40, past(a=10, b=5, c=3)) == 8


def test_what_is_only_below_a_hit_is_not_counted() -> None:
    model = after([*CHAIN, cached(2, 0), started(3, 0)])
    assert remaining(model, START + 1, past(a=10, b=5, c=3)) == 2


def test_work_side_by_side_counts_by_how_much_is_done_at_once() -> None:
    events: list[Event] = [known(n, f"s{n}", "api") for n in range(8)]
    model = after([*events, started(0, 0), started(1, 0)])
    assert remaining(model, START, past(**{f"s{n}": 3.0 for n in range(8)})) == 12


def test_nothing_is_said_where_too_little_is_known() -> None:
    model = after([*CHAIN, started(1, 0)])
    assert remaining(model, START, past(a=10, b=5)) is None
    assert remaining(after([*CHAIN, done(1, 1), done(2, 1), done(3, 1)]), START, past(a=1)) is None


def test_the_past_is_not_read_for_a_short_build() -> None:
    read: list[int] = []

    def reading() -> Durations:
        read.append(1)
        return past(a=100, b=5, c=3)

    estimate = Estimate(reading)
    model = after([*CHAIN, started(1, 0)])
    assert estimate.left(model, START + PATIENCE - 0.1) is None
    assert not read
    assert estimate.left(model, START + 10) == 98
    assert estimate.left(model, START + 10.5) == 97.5
    assert read == [1]
