"""What a target asks of the engine, and what it says beside its graph."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from engine.errors import DefinitionError, SourceError, UnsupportedError
from engine.frontends.contract import FrontendRequest, FrontendResult, LinkedResult, LocalFolder
from engine.frontends.dockerfile import DockerfileFrontend
from engine.frontends.dockerfile.instructions import Instruction
from engine.frontends.dockerfile.lower.scope import Observer
from engine.frontends.dockerfile.lower.stage import Stage
from engine.llb import image, mkdir
from engine.llb.definition import Definition
from tests.support.dockerfile_cases import AMD64, RecordedBridge, TreeFiles, lower

BASE = "FROM localhost:5000/busybox:1.35\n"


def request(folder: Path, text: str | None, **options: str) -> FrontendRequest:
    locals_ = {name: LocalFolder(name, folder) for name in ("context", "dockerfile")}
    given = {key.replace("__", ":"): value for key, value in options.items()}
    return FrontendRequest(given, locals_, dockerfile=text, default_platform=AMD64)


def build(folder: Path, text: str | None, **options: str) -> FrontendResult:
    return trio.run(lower, request(folder, text, **options))


def names(result: FrontendResult) -> list[str]:
    return [vertex.name for vertex in result.platforms[0].definition.walk()]


def test_importing_the_door_opens_nothing_behind_it() -> None:
    code = (
        "import sys, engine.frontends.dockerfile as d, engine.llb;"
        "assert not {'trio', 'engine.frontends.dockerfile.parser', 'engine.llb.state'} & set(sys.modules);"
        "d.DockerfileFrontend; assert 'trio' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_each_image_is_asked_for_once_a_platform(tmp_path: Path) -> None:
    bridge = RecordedBridge()
    text = BASE + BASE + "COPY --from=localhost:5000/busybox:1.35 /a /b\nCOPY --from=0 /c /d\n"
    trio.run(lower, request(tmp_path, text), bridge)
    assert bridge.asked == ["localhost:5000/busybox:1.35"]


def test_stages_that_are_not_needed_are_not_asked_for(tmp_path: Path) -> None:
    result = build(tmp_path, "FROM localhost:5000/absent:1 AS old\nRUN x\n" + BASE + "RUN y\n")
    assert names(result)[-1] == "[stage-1 2/2] RUN y"


def test_a_missing_image_points_at_its_from(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not found") as caught:
        build(tmp_path, BASE + "FROM localhost:5000/absent:1\n")
    assert [r.start.line for r in caught.value.places[0].ranges if r.start] == [2]


def test_platforms_come_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    result = build(tmp_path, BASE + "ARG TARGETARCH\nRUN $TARGETARCH\n", platform="linux/arm64,linux/amd64")
    assert result.multi
    assert [one.id for one in result.platforms] == ["linux/arm64", "linux/amd64"]
    assert [one.config["architecture"] for one in result.platforms] == ["arm64", "amd64"]


def test_a_folder_is_the_same_source_for_every_target(tmp_path: Path) -> None:
    one, other = (build(tmp_path, BASE + f"COPY a /{n}\n").platforms[0].definition for n in "xy")
    local = [next(v.digest for v in d.walk() if v.name.endswith("build context")) for d in (one, other)]
    assert local[0] == local[1]


def test_an_inline_dockerfile_needs_no_file_and_keeps_the_contexts_rules(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("*.log\n")
    result = build(tmp_path, BASE + "COPY . /x\n")
    source = next(v.op.source for v in result.platforms[0].definition.walk() if v.name.endswith("build context"))
    assert source is not None
    assert source.attrs["local.excludepatterns"] == '["*.log"]'


def test_a_lower_case_dockerfile_is_found(tmp_path: Path) -> None:
    (tmp_path / "dockerfile").write_text(BASE)
    assert len(names(build(tmp_path, None))) == 1


def test_a_dockerfile_is_never_read_outside_its_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "Dockerfile").write_text(BASE)
    (inner / "link").symlink_to(tmp_path / "Dockerfile")
    for name in ("../Dockerfile", "link"):
        with pytest.raises(DefinitionError, match="failed to read dockerfile"):
            build(inner, None, filename=name)


def test_another_frontend_is_refused_with_a_next_step(tmp_path: Path) -> None:
    for known in (
        "docker/dockerfile:1.7-labs",
        "registry.example/hub/docker/dockerfile:1",
        "docker/dockerfile-upstream",
    ):
        assert names(build(tmp_path, f"# syntax={known}\n" + BASE))
    with pytest.raises(UnsupportedError, match="example/other:2") as caught:
        build(tmp_path, "# syntax=example/other:2\n" + BASE)
    assert caught.value.hint
    assert caught.value.places
    with pytest.raises(UnsupportedError):
        build(tmp_path, "# syntax=mydocker/dockerfile\n" + BASE)


def test_a_dockerfile_can_lie_on_a_web_server_and_its_context_here(tmp_path: Path) -> None:
    class Web(RecordedBridge):
        async def files(self, definition: Definition) -> TreeFiles:
            source = next(vertex.op.source for vertex in definition.walk() if vertex.op.source)
            self.asked.append(source.identifier)
            return TreeFiles(tmp_path / "web")

    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "Dockerfile").write_text(BASE + "COPY here /\n")
    bridge, address = Web(), "https://example.com/x/app.Dockerfile"
    result = trio.run(lower, request(tmp_path, None, filename=address), bridge)
    assert bridge.asked[0] == address
    assert names(result)[-1] == "[2/2] COPY here /"
    sources = [vertex.op.source.identifier for vertex in result.platforms[0].definition.walk() if vertex.op.source]
    assert "local://context" in sources


def test_what_the_peer_accepts_in_silence_is_warned_of(tmp_path: Path) -> None:
    result = build(tmp_path, BASE + "COPY --link --chmod=755 a /b\nCOPY a b /c\nCOPY a b /c/\nCOPY *.x y /d\n")
    lines = [(w.rule, w.places[0].ranges[0].start.line if w.places[0].ranges[0].start else 0) for w in result.warnings]
    assert lines == [("LinkWithChmod", 2), ("SeveralSourcesOneFile", 3), ("WildcardMatchesNothing", 5)]
    (tmp_path / "found.x").touch()
    assert not build(tmp_path, BASE + "COPY *.x [f]*.? /d/\n").warnings
    (tmp_path / ".dockerignore").write_text("found.x\n")
    assert [w.rule for w in build(tmp_path, BASE + "COPY *.x /d/\n").warnings] == ["WildcardMatchesNothing"]


def test_another_targets_result_is_a_context_without_being_made_again(tmp_path: Path) -> None:
    other = image("localhost:5000/busybox:1.35", platform=AMD64).file(mkdir("/made")).define(AMD64)
    config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["A=1"], "WorkingDir": "/w"}}
    given = request(tmp_path, "FROM base\nRUN x\n", context__base="input:other")
    linked = FrontendRequest(
        given.options, given.locals, {"other": LinkedResult(other, config)}, given.dockerfile, AMD64
    )
    definition = trio.run(lower, linked).platforms[0].definition
    assert other.root is not None
    assert other.root.vertex in definition.vertices
    step = definition.vertices[definition.root.vertex].op.exec if definition.root else None
    assert step is not None
    assert step.meta is not None
    assert (step.meta.cwd, "A=1" in step.meta.env) == ("/w", True)


def test_an_image_config_of_the_wrong_form_is_an_error_and_no_crash(tmp_path: Path) -> None:
    given = request(tmp_path, "FROM base\n", context__base="input:bad")
    for config in ({"config": []}, {"config": {"Env": [1]}}, {"history": "x"}, {"rootfs": {"diff_ids": [None]}}):
        bad = LinkedResult(image("x", platform=AMD64).define(AMD64), config)  # type: ignore[arg-type]
        with pytest.raises(DefinitionError, match="failed to parse image config"):
            trio.run(lower, FrontendRequest(given.options, given.locals, {"bad": bad}, given.dockerfile, AMD64))


def test_an_observer_is_told_of_variables_without_a_value(tmp_path: Path) -> None:
    class Watch(Observer):
        def __init__(self) -> None:
            self.seen: list[tuple[str, int, frozenset[str]]] = []

        def unset(self, instruction: Instruction, names: frozenset[str], stage: Stage) -> None:
            self.seen.append((instruction.keyword, instruction.lines[0], names))

    watch = Watch()
    text = BASE + "WORKDIR /$nope\nRUN $shell\nENV a=${b:-c}\n"
    trio.run(DockerfileFrontend().lower, request(tmp_path, text), RecordedBridge(), watch)
    assert watch.seen == [("WORKDIR", 2, {"nope"}), ("ENV", 4, {"b"})]


def test_the_same_text_is_parsed_once(tmp_path: Path) -> None:
    from engine.frontends.dockerfile.parser import parse

    text = BASE + "RUN only this test\n"
    before = parse.cache_info()
    for _ in range(3):
        build(tmp_path, text)
    after = parse.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 2)


def test_a_long_dockerfile_needs_no_deep_stack(tmp_path: Path) -> None:
    result = build(tmp_path, BASE + "RUN x\n" * 3000)
    assert len(names(result)) == 3001


DEVICES = BASE + "RUN --device=vendor.example/gpu=all,required --device=name=b,required=false --device=z make\n"


def test_devices_are_for_dockerfiles_that_ask_for_the_labs_channel(tmp_path: Path) -> None:
    for channel in ("1-labs", "labs", "1.14.0-labs@sha256:" + 64 * "0", "experimental"):
        result = build(tmp_path, f"# syntax=docker/dockerfile:{channel}\n" + DEVICES)
        (step,) = (vertex for vertex in result.platforms[0].definition.walk() if vertex.op.exec)
        assert step.op.exec
        devices = [(device.name, device.optional) for device in step.op.exec.cdi_devices]
        assert devices == [("vendor.example/gpu=all", False), ("b", True), ("z", True)]
        assert "exec.meta.cdi" in step.note.caps
    for other in ("", "# syntax=docker/dockerfile:1\n"):
        with pytest.raises(DefinitionError, match="1.14.0-labs or later") as caught:
            build(tmp_path, other + DEVICES)
        assert "# syntax=docker/dockerfile:1-labs" in caught.value.hint
        assert caught.value.places


def test_the_labs_channel_can_be_asked_for_by_an_argument(tmp_path: Path) -> None:
    assert build(tmp_path, DEVICES, **{"build-arg__BUILDKIT_SYNTAX": "docker/dockerfile:labs"})


def test_a_step_with_devices_has_buildkits_digest(tmp_path: Path) -> None:
    """Recorded from BuildKit's own frontend, built with the tag of the labs channel."""
    text = "FROM scratch\nRUN --device=vendor.example/gpu=all,required --device=name=b,required=false --device=z make\n"
    last = 'RUN --device=vendor.example/gpu ["x"]\n'
    result = build(tmp_path, "# syntax=docker/dockerfile:1-labs\n" + text + last)
    assert [vertex.digest for vertex in result.platforms[0].definition.walk()] == [
        "sha256:6ed59c38a98568c74e62c1e37fc2a01e8a04be2c9b5ed40b4741e19088042c6e",
        "sha256:a4c891fb05b0dd4ae3b683058f0924d136c8e677545f8e63e3e9954e84aafac9",
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (BASE + "RUN a &&\napt-get b\n", "if it belongs to the line before, that one must end in \\"),
        (BASE + "COPY --chown a b\n", "write --chown=VALUE"),
        (BASE + "HEALTHCHECK --interval=5 CMD x\n", "write 5s"),
        (BASE + "COPY https://web.example/x /\n", "ADD fetches URLs"),
        (BASE + "COPY ${X:?set X} /\n", "put what has blanks into quotes"),
        (BASE + "RUN " + 70_000 * "x", "break the line with \\"),
        (BASE + "RUN \udcff\n", "save the Dockerfile as UTF-8"),
        ("FROM Ubuntu\n", "no capital letters"),
        ("ARG X\nFROM $X\n", "give $X a default"),
        ("", "begins with FROM"),
        ("# only this\n", "begins with FROM"),
    ],
)
def test_errors_say_the_next_step_where_the_peers_message_does_not(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        build(tmp_path, text)
    assert hint in caught.value.hint


def test_a_message_that_says_it_has_no_hint(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="did you mean COPY") as caught:
        build(tmp_path, BASE + "COPPY a b\n")
    assert not caught.value.hint


def test_check_options_end_at_a_blank_as_with_buildkit(tmp_path: Path) -> None:
    relative = BASE + "WORKDIR x\nMAINTAINER y\n"
    rules = [
        w.rule for w in build(tmp_path, "# check=skip=MaintainerDeprecated, WorkdirRelativePath\n" + relative).warnings
    ]
    assert rules == ["WorkdirRelativePath"]
    with pytest.raises(DefinitionError, match='invalid check option "on"'):
        build(tmp_path, "# check=on off=1\n" + relative)
