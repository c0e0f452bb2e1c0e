"""What of an op has changed, as a reader would say it."""

from __future__ import annotations

from dataclasses import replace

from engine.digests import sha256
from engine.events import Change
from engine.llb.ops import CacheOpt, ExecOp, Meta, Mount, MountType, NetMode, Op, Platform
from engine.llb.wire import encode
from engine.solver.makeup import BASE, FILES, STEP, Ingredient, Makeup, from_text, to_text
from engine.solver.op_changes import op_changes
from engine.solver.reasons import Cause, compare, pair


def step(op: ExecOp, name: str = "[build 1/2] RUN make", **others: object) -> Makeup:
    body = encode(Op(exec=op, platform=Platform("amd64", "linux")))
    return replace(Makeup(name, sha256(body), body, ()), **others)  # type: ignore[arg-type]


RUN = ExecOp(Meta(args=("/bin/sh", "-c", "make"), env=("PATH=/bin", "A=1"), cwd="/"), (Mount(dest="/"),), secretenv=())


def test_variables_are_told_by_name_whatever_their_order() -> None:
    assert RUN.meta
    now = replace(RUN, meta=replace(RUN.meta, env=("B=2", "A=3")))
    assert set(op_changes(step(RUN), step(now))) == {
        Change("variable", "PATH", "/bin", None),
        Change("variable", "A", "1", "3"),
        Change("variable", "B", None, "2"),
    }


def test_a_command_a_network_and_a_mount_are_told() -> None:
    assert RUN.meta
    cache = Mount(dest="/c", mount_type=MountType.CACHE, cache_opt=CacheOpt("x"))
    now = replace(
        RUN,
        meta=replace(RUN.meta, args=("/bin/sh", "-c", "make all")),
        network=NetMode.HOST,
        mounts=(*RUN.mounts, cache),
    )
    found = list(op_changes(step(RUN), step(now)))
    assert Change("command", "command", "/bin/sh -c make", "/bin/sh -c make all") in found
    assert [change.name for change in found] == ["command", "mount /c", "network"]


def test_an_instruction_as_written_says_more_than_its_words() -> None:
    assert RUN.meta
    now = replace(RUN, meta=replace(RUN.meta, args=("/bin/sh", "-c", "make all")))
    found = list(op_changes(step(RUN), step(now, "[build 1/3] RUN make all")))
    assert found == [Change("command", "instruction", "RUN make", "RUN make all")]


def test_what_cannot_be_read_is_told_by_its_instruction() -> None:
    broken = replace(step(RUN), body=b"\xff", op=sha256(b"other"))
    (change,) = op_changes(broken, step(RUN, "[build 1/2] RUN make all"))
    assert (change.before, change.after) == ("RUN make", "RUN make all")


def test_steps_are_written_down_and_read_again() -> None:
    inputs = (Ingredient(FILES, "[internal] load build context", "sha256:1"), Ingredient(BASE, "x", "y", "z"))
    steps = (step(RUN, inputs=inputs, seconds=1.5), step(RUN, "odd \udcff name".replace("\udcff", "ÿ"), finished=False))
    assert from_text(to_text(steps)) == steps
    assert from_text("[[1, 2]]") == ()
    assert from_text("{") == ()


def test_the_most_basic_cause_is_named_and_all_changes_told() -> None:
    old = (Ingredient(BASE, "debian:12", "1", "sha256:a"), Ingredient(STEP, "[1/2] RUN a", "k"))
    new = (Ingredient(BASE, "debian:13", "2", "sha256:b"), Ingredient(STEP, "[1/2] RUN a", "l"))
    reason = compare(step(RUN, inputs=old), step(RUN, inputs=new), set())
    assert reason.cause is Cause.BASE
    assert reason.changes == (
        Change("base", "debian:13", "debian:12 (sha256:a)", "debian:13 (sha256:b)"),
        Change("step", "[1/2] RUN a"),
    )


def test_a_step_below_that_was_made_anew_is_a_reason_even_if_it_is_the_same_by_definition() -> None:
    inputs = (Ingredient(STEP, "[1/2] RUN a", "k"),)
    same = step(RUN, inputs=inputs)
    assert compare(same, same, {0}).cause is Cause.INPUT
    assert compare(same, same, set()).cause is Cause.LOST
    assert compare(replace(same, finished=False), same, set()).cause is Cause.UNFINISHED


def test_each_former_step_is_compared_with_one_step() -> None:
    former = [step(RUN, "[1/2] RUN make"), step(RUN, "[2/2] RUN make")]
    found = pair([(sha256(b"a"), step(RUN, "[2/3] RUN make")), (sha256(b"b"), step(RUN, "[3/3] RUN make"))], former)
    assert [found[sha256(b"a")], found[sha256(b"b")]] == former
    assert pair([(sha256(b"a"), step(RUN))], []) == {}
