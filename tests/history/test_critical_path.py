"""The chain that a build had to wait for."""

from bakery.history.critical_path import critical_path
from bakery.history.record import RecordedVertex


def vertex(
    number: int, *times: float, inputs: tuple[int, ...] = (), targets: tuple[str, ...] = ("api",)
) -> RecordedVertex:
    found = RecordedVertex(number, f"sha256:{number}", f"step {number}", inputs, targets)
    if times:
        found.intervals = [(times[0], times[1])]
        found.ended = times[1]
    return found


def chain(*vertices: RecordedVertex) -> list[tuple[int, float]]:
    return [(hop.vertex.number, hop.waited) for hop in critical_path(vertices)]


def test_a_step_waits_for_the_input_that_ends_last() -> None:
    assert chain(vertex(0, 0, 5), vertex(1, 0, 3), vertex(2, 5, 9, inputs=(0, 1))) == [(0, 0), (2, 0)]


def test_what_was_found_is_passed_through_to_what_it_stands_on() -> None:
    assert chain(vertex(0, 0, 5), vertex(1, inputs=(0,)), vertex(2, 6, 9, inputs=(1,))) == [(0, 0), (2, 1)]


def test_an_export_waits_for_the_steps_of_its_target() -> None:
    assert chain(vertex(0, 0, 5), vertex(1, 0, 8, targets=("web",)), vertex(2, 5, 9)) == [(0, 0), (2, 0)]


def test_a_first_step_waits_for_the_engine_to_read_its_dockerfile() -> None:
    assert chain(vertex(0, 0, 1, targets=()), vertex(1, 1, 9)) == [(0, 0), (1, 0)]


def test_nothing_done_is_no_chain() -> None:
    assert chain(vertex(0), vertex(1, inputs=(0,))) == []


def test_vertices_that_name_each_other_do_not_turn_in_circles() -> None:
    assert chain(vertex(0, 0, 5, inputs=(1,)), vertex(1, 0, 5, inputs=(0,))) in ([(1, 0), (0, 0)], [(0, 0), (1, 0)])
