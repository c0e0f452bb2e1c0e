"""SOURCE_DATE_EPOCH by the name of a source: whose time it is, and what is no source."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from engine.errors import DefinitionError
from engine.frontends.contract import FrontendRequest, FrontendResult, LocalFolder
from engine.llb.definition import Definition, Vertex
from tests.support.dockerfile_cases import AMD64, RecordedBridge, TreeFiles, lower

STEP = "FROM localhost:5000/busybox:1.35\nARG SOURCE_DATE_EPOCH\nRUN x\n"
WEB = "https://web.example/"
REPOSITORY = "https://web.example/a.git"


def archive(mode: str = "w:gz") -> bytes:
    """A folder that is newer than its newest file, which is from 300."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]  # the mode is a literal there
        for name, kind, time in (("d", tarfile.DIRTYPE, 999), ("d/a", tarfile.REGTYPE, 300), ("b", tarfile.REGTYPE, 7)):
            member = tarfile.TarInfo(name)
            member.type, member.mtime = kind, time
            tar.addfile(member)
    return stream.getvalue()


@dataclass
class Sources(RecordedBridge):
    """Knows when sources are from, and what downloads contain."""

    folder: Path
    times: dict[str, int] = field(default_factory=dict)
    content: bytes = b""

    def __post_init__(self) -> None:
        super().__init__()

    async def source_time(self, source: Vertex) -> int | None:
        assert source.op.source
        self.asked.append(source.op.source.identifier)
        return self.times.get(source.op.source.identifier)

    async def files(self, definition: Definition) -> TreeFiles:
        source = next(v.op.source for v in definition.walk() if v.op.source)
        (self.folder / source.attrs["http.filename"]).write_bytes(self.content)
        return TreeFiles(self.folder)


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    times = {WEB + "dated": 500, "git://web.example/a.git": 600, "git://web.example/a.git#v1": 700}
    found = Sources(tmp_path, times)
    found.folder = tmp_path
    return found


def build(sources: Sources, value: str, text: str = STEP, **contexts: str) -> FrontendResult:
    options = {"build-arg:SOURCE_DATE_EPOCH": value} if value else {}
    options |= {"context" if name == "main" else f"context:{name}": where for name, where in contexts.items()}
    folders = {name: LocalFolder(name, sources.folder) for name in ("context", "dockerfile", "near")}
    return trio.run(lower, FrontendRequest(options, folders, dockerfile=text, default_platform=AMD64), sources)


def env(result: FrontendResult) -> list[str]:
    (step,) = (v.op.exec for v in result.platforms[0].definition.walk() if v.op.exec)
    assert step.meta
    return [item for item in step.meta.env if item.startswith("SOURCE_DATE_EPOCH")]


def test_a_commits_time_is_taken_over_for_steps_history_and_image(sources: Sources) -> None:
    result = build(sources, "context", main=REPOSITORY + "#v1")
    assert result.epoch == 700
    assert env(result) == ["SOURCE_DATE_EPOCH=700"]
    assert result.platforms[0].config["history"][-1]["created"] == "1970-01-01T00:11:40Z"
    assert build(sources, "src", src=REPOSITORY).epoch == 600


def test_a_download_is_as_old_as_the_server_says_or_as_its_newest_file(sources: Sources) -> None:
    assert build(sources, "src", src=WEB + "dated").epoch == 500
    for mode in ("w", "w:gz", "w:xz"):
        sources.content = archive(mode)
        assert build(sources, "src", src=WEB + "undated.tar").epoch == 300
    sources.content = b"FROM scratch\n"
    assert build(sources, "src", src=WEB + "undated.tar").epoch is None


def test_folders_and_images_have_no_time_and_are_not_asked_for_one(sources: Sources) -> None:
    for result in (build(sources, "context"), build(sources, "src", src="local:near")):
        assert result.epoch is None
        assert env(result) == []
    assert not [asked for asked in sources.asked if "busybox" not in asked]
    assert build(sources, "src", src="docker-image://localhost:5000/busybox:1.35").epoch is None


def test_a_stage_that_only_adds_one_remote_source_gives_its_time(sources: Sources) -> None:
    stage = f"ARG NAME=dated\nFROM scratch AS when\nARG NAME\nADD {WEB}$NAME /\n"
    assert build(sources, "When", stage + STEP).epoch == 500
    assert build(sources, "when", f"FROM scratch AS when\nADD {REPOSITORY}#v1 /\n{STEP}").epoch == 700
    assert (
        build(sources, "", f"ARG SOURCE_DATE_EPOCH=when\nFROM scratch AS when\nADD {REPOSITORY} /\n{STEP}").epoch == 600
    )


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (f"FROM localhost:5000/busybox:1.35 AS when\nADD {REPOSITORY} /\n", "must use FROM scratch"),
        (f"FROM scratch AS when\nADD {REPOSITORY} /\nCOPY a /\n", "unsupported COPY instruction"),
        (f"FROM scratch AS when\nADD {REPOSITORY} /\nADD {REPOSITORY} /\n", "exactly one remote ADD"),
        ("FROM scratch AS when\n", "exactly one remote ADD"),
        (f"FROM scratch AS when\nADD {REPOSITORY} b /\n", "exactly one remote ADD source"),
        ("FROM scratch AS when\nADD file /\n", "must be a single HTTP(S) or Git ADD"),
        ("FROM scratch AS when\nADD github.com/a/b /\n", "must be a single HTTP(S) or Git ADD"),
        ("FROM scratch AS when\nADD git://web.example/a.git?x=1 /\n", 'unexpected query "x"'),
    ],
)
def test_a_stage_that_is_more_than_a_source_is_refused_at_its_from(sources: Sources, stage: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        build(sources, "when", stage + STEP)
    assert message in caught.value.message
    start = caught.value.places[0].ranges[0].start
    assert start
    assert start.line == 1


def test_a_word_that_names_nothing_is_refused(sources: Sources) -> None:
    with pytest.raises(DefinitionError, match="invalid SOURCE_DATE_EPOCH: yesterday"):
        build(sources, "yesterday")
