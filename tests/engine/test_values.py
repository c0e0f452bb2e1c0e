"""Values behave as dataclasses with slots do: frozen ones, and records."""

from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import ClassVar

import pytest

from engine.values import frozen, record
from engine.values import replace as quickly_replace


@frozen
class Point:
    """A place."""

    KIND: ClassVar[str] = "point"
    x: int
    y: int = 0
    labels: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict, hash=False, compare=False)
    hidden: str = field(default="", repr=False, compare=False)


@frozen
class Named(Point):
    """A place with a name."""

    name: str = "here"


def test_the_same_text_as_a_dataclass_has() -> None:
    @dataclass(frozen=True, slots=True)
    class Same:
        x: int
        y: int = 0

    @frozen
    class Other:
        x: int
        y: int = 0

    assert repr(Other(1)) == repr(Same(1)).replace("Same", "Other")


def test_fields_by_position_by_name_and_by_default() -> None:
    assert Point(1, 2, ("a",)) == Point(x=1, y=2, labels=("a",))
    assert Point(1).y == 0
    assert Point(1).notes is not Point(1).notes
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        Point(1, z=2)  # type: ignore[call-arg]


def test_the_first_instances_are_made_as_all_others_are() -> None:
    @frozen
    class Sum:
        a: int
        b: int = 2
        seen: list[int] = field(default_factory=list)
        total: int = field(init=False, default=0)

        def __post_init__(self) -> None:
            object.__setattr__(self, "total", self.a + self.b)

    made = [Sum(1, b=number) for number in range(40)]  # the `__init__` is compiled on the way
    assert [one.total for one in made] == [1 + number for number in range(40)]
    assert all(type(one) is Sum and one.seen == [] for one in made)
    assert made[0].seen is not made[1].seen

    @frozen
    class Pair:
        a: int
        b: int = 0

    for _ in range(2):
        with pytest.raises(TypeError, match="takes from 2 to 3 positional arguments but 4 were given"):
            Pair(1, 2, 3)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="multiple values for argument 'a'"):
            Pair(1, a=1)  # type: ignore[misc]


def test_equality_and_hash_are_by_what_is_compared() -> None:
    assert Point(1, notes={"a": "b"}, hidden="x") == Point(1)
    assert len({Point(1), Point(1, hidden="y"), Point(2)}) == 2
    assert Point(1) != Named(1)
    assert Point(1) != (1, 0, ())


def test_nothing_changes() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x
    assert not hasattr(point, "__dict__")


def test_a_derived_value_adds_its_fields_after_its_base() -> None:
    named = Named(1, 2, name="there")
    assert [f.name for f in dataclasses.fields(named)] == ["x", "y", "labels", "notes", "hidden", "name"]
    assert replace(named, y=3) == Named(1, 3, name="there")
    assert "hidden" not in repr(named)


def test_dataclasses_know_them() -> None:
    assert dataclasses.is_dataclass(Point)
    assert dataclasses.astuple(Point(1, 2)) == (1, 2, (), {}, "")
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_what_a_class_defines_itself_is_kept() -> None:
    @frozen
    class Doubled:
        x: int
        twice: int = field(init=False, default=0)

        def __post_init__(self) -> None:
            object.__setattr__(self, "twice", 2 * self.x)

        def __repr__(self) -> str:
            return f"<{self.x}>"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Doubled) and self.x % 10 == other.x % 10

        def __hash__(self) -> int:
            return self.x % 10

    assert Doubled(3).twice == 6
    assert repr(Doubled(3)) == "<3>"
    assert Doubled(3) == Doubled(13)
    assert hash(Doubled(3)) == hash(Doubled(13))


def test_a_field_without_default_cannot_follow_one_with() -> None:
    with pytest.raises(TypeError, match="field y has no default, but follows x"):

        @frozen
        class Wrong:
            x: int = 0
            y: int  # type: ignore[misc]


@record
class Tally:
    """What is counted."""

    name: str
    count: int = 0
    seen: list[str] = field(default_factory=list)


def test_a_record_can_be_changed_and_has_no_hash() -> None:
    tally = Tally("a")
    tally.count += 1
    tally.seen.append("b")
    assert tally == Tally("a", 1, ["b"]) != Tally("a")
    assert repr(tally) == "Tally(name='a', count=1, seen=['b'])"
    assert replace(tally, name="c").seen == ["b"]
    with pytest.raises(TypeError, match="unhashable"):
        hash(tally)
    with pytest.raises(AttributeError):
        tally.other = 1  # type: ignore[attr-defined]


def test_replace_changes_what_it_is_told_and_nothing_else() -> None:
    @frozen
    class Spot:
        x: int
        y: int = 2
        tags: tuple[str, ...] = field(default_factory=tuple)

    spot = Spot(1, tags=("a",))
    assert quickly_replace(spot, y=3) == Spot(1, 3, ("a",))
    assert spot == Spot(1, 2, ("a",))
    with pytest.raises(TypeError, match="Spot has no field z"):
        quickly_replace(spot, z=1)


def test_replace_works_with_one_field_and_with_checks() -> None:
    @frozen
    class Even:
        number: int

        def __post_init__(self) -> None:
            if self.number % 2:
                raise ValueError(self.number)

    assert quickly_replace(Even(2), number=4) == Even(4)
    with pytest.raises(ValueError, match="3"):
        quickly_replace(Even(2), number=3)
