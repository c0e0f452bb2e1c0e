from support.build_story import cached, digest, done, failing_build, known, moved, play, said, started

from bakery.console.model import Model
from bakery.console.plain import PlainView
from engine.events import VertexKnown, Warned
from engine.llb.ops import ProgressGroup

FAILING = """\
#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 154B 0.0s done
#1 DONE 0.0s

#2 [api,docs base 1/1] FROM busybox
#2 CACHED

#3 [api build 1/2] RUN make
#3 0.300 cc -c main.c
#3 0.300 cc -c util.c
#3 ...

#4 [docs site 1/1] RUN mkdocs
#4 0.400 \x1b[31mred\x1b[0m building\x1b[0m
#4 DONE 1.4s

#3 [api build 1/2] RUN make
#3 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2

#5 [api build 2/2] COPY a b
#5 CANCELED
"""


def test_a_failing_build_of_two_targets_reads_as_buildkits() -> None:
    assert play(PlainView(Model(("api", "docs"))), failing_build()) == FAILING


def test_without_colours_only_the_colours_are_gone() -> None:
    written = play(PlainView(Model(("api", "docs")), colours=False), failing_build())
    assert written == FAILING.replace("\x1b[31m", "").replace("\x1b[0m", "")


def test_one_target_needs_no_prefix() -> None:
    assert "#2 [base 1/1] FROM busybox\n" in play(PlainView(Model(("api",))), failing_build())


def test_a_look_up_and_the_run_after_it_are_two_blocks_of_one_number() -> None:
    story = [known(1, "RUN a"), started(1, 0), done(1, 0.25), started(1, 2), said(1, 2.5, b"x\n"), done(1, 3)]
    assert play(PlainView(Model()), story) == "#1 RUN a\n#1 DONE 0.2s\n\n#1 RUN a\n#1 0.500 x\n#1 DONE 1.2s\n"


def test_a_step_that_talks_long_gives_up_the_floor_to_one_that_waits() -> None:
    story = [known(1, "RUN a"), known(2, "RUN b"), started(1, 0), started(2, 0.2)]
    story += [said(1, second + 0.5, b"a\n") for second in range(8)]
    story += [said(2, 4.0, b"b\n")]
    story.sort(key=lambda event: getattr(event, "time", 0.0))
    lines = play(PlainView(Model()), [*story, done(1, 9), done(2, 9.1)]).split("\n")
    at = lines.index("#2 RUN b")
    assert lines[at - 3 : at + 2] == ["#1 4.500 a", "#1 ...", "", "#2 RUN b", "#2 3.800 b"]
    assert lines.index("#1 7.500 a") > at
    assert lines[-2] == "#2 DONE 8.9s"


def test_a_transfer_is_told_now_and_then_and_at_its_end() -> None:
    story = [known(1, "FROM big"), started(1, 0)]
    story += [moved(1, 0.1 * n, "sha256:abc", 10_000 * n, 1_000_000, 0.0) for n in range(1, 100)]
    story += [moved(1, 10.0, "sha256:abc", 1_000_000, 1_000_000, 0.0, over=True), done(1, 10.0)]
    lines = play(PlainView(Model()), story).split("\n")
    told = [line for line in lines if "sha256:abc" in line]
    assert told[0] == "#1 sha256:abc 10.00kB / 1.00MB 0.1s"
    assert told[-1] == "#1 sha256:abc 1.00MB / 1.00MB 10.0s done"
    assert 15 < len(told) < 25  # every 5 %


def test_an_unfinished_line_is_shown_when_its_step_ends() -> None:
    story = [known(1, "RUN a"), started(1, 0), said(1, 1.0, b"no newline"), done(1, 2)]
    assert play(PlainView(Model()), story) == "#1 RUN a\n#1 1.000 no newline\n#1 DONE 2.0s\n"


def test_a_progress_bar_is_shown_as_it_ended() -> None:
    story = [known(1, "RUN a"), started(1, 0), said(1, 0.5, b"10%\r50%\r100%\r\n"), done(1, 1)]
    assert play(PlainView(Model()), story) == "#1 RUN a\n#1 0.500 100%\n#1 DONE 1.0s\n"


def test_warnings_are_told_with_their_step() -> None:
    story = [known(1, "RUN a"), started(1, 0), Warned(digest(1), "MaintainerDeprecated: use a label"), done(1, 0.1)]
    assert "#1 WARN: MaintainerDeprecated: use a label\n" in play(PlainView(Model()), story)


def test_the_members_of_a_group_are_one_step() -> None:
    group = ProgressGroup("g1", "COPY --link . .", False)
    story = [
        VertexKnown(digest(1), "copy", (), group),
        VertexKnown(digest(2), "merge", (), group),
        started(1, 0),
        done(1, 1),
        started(2, 1),
        done(2, 1.5),
    ]
    assert play(PlainView(Model()), story) == "#1 COPY --link . .\n#1 DONE 1.5s\n"


def test_a_weak_group_with_nothing_else_is_not_shown() -> None:
    weak = ProgressGroup("g1", "FROM busybox", True)
    assert play(PlainView(Model()), [VertexKnown(digest(1), "x", (), weak), started(1, 0), cached(1, 1)]) == ""
