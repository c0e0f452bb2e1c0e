"""Graphs drawn in Python: what becomes of mounts, files, environments and surroundings."""

from __future__ import annotations

import pytest

from engine import llb
from engine.errors import DefinitionError
from engine.llb.definition import Definition
from engine.llb.json_form import normal_form
from engine.llb.nodes import Deferred, Output
from engine.llb.ops import ExecOp, FileOp, Mount, Platform
from engine.llb.state import State
from engine.llb.wire import decode, encode

AMD64 = Platform("amd64", "linux")
BASE = llb.image("docker.io/library/base:1", platform=AMD64)


def last(state: State) -> tuple[Definition, ExecOp | FileOp]:
    definition = state.define(AMD64)
    assert definition.root is not None
    op = definition.vertices[definition.root.vertex].op
    body = op.exec or op.file
    assert body is not None
    return definition, body


def mounts(state: State) -> list[Mount]:
    body = last(state)[1]
    assert isinstance(body, ExecOp)
    return list(body.mounts)


def test_mounts_are_sorted_and_equal_inputs_are_one() -> None:
    tools = llb.image("tools", platform=AMD64)
    step = BASE.run(
        "make",
        mounts=[llb.bind("/z", tools), llb.bind("/a", tools, readonly=True), llb.cache("/m", "id"), llb.tmpfs("/t")],
    )
    found = [(m.dest, m.input, m.output) for m in mounts(step.root())]
    assert found == [("/", 0, 0), ("/a", 1, -1), ("/m", -1, -1), ("/t", -1, -1), ("/z", 1, 1)]
    assert step.mount("/z").define(AMD64).root != step.root().define(AMD64).root
    for gone in ("/a", "/m", "/t", "/nowhere"):
        with pytest.raises(DefinitionError, match="nothing is kept"):
            step.mount(gone)


def test_secrets_and_agents_come_last_with_output_zero() -> None:
    state = BASE.run("x", mounts=[llb.bind("/z", BASE)], secrets=[llb.secret("s")], ssh=[llb.ssh()]).root()
    found = [(m.dest, m.input, m.output) for m in mounts(state)]
    assert found == [("/", 0, 0), ("/z", 0, 1), ("/run/secrets/s", -1, 0), ("/run/buildkit/ssh_agent.0", -1, 0)]
    body = last(state)[1]
    assert isinstance(body, ExecOp)
    assert body.meta is not None
    assert body.meta.env == ("SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0",)


def test_setting_a_variable_again_moves_it_to_the_end() -> None:
    state = BASE.set_env("A", "1").set_env("B", "2").set_env("A", "3")
    assert state.env.items() == ("B=2", "A=3")


def test_file_actions_work_on_each_other_and_only_the_last_has_an_output() -> None:
    source = llb.local("context", session="s")
    state = BASE.dir("/w").file(llb.copy(source, "a", "b/").mkdir("c").copy(source, "/d", "/e", owner="root:staff"))
    body = last(state)[1]
    assert isinstance(body, FileOp)
    assert [(a.input, a.secondary_input, a.output) for a in body.actions] == [(0, 1, -1), (2, -1, -1), (3, 1, 0)]
    first, second, third = body.actions
    assert first.copy is not None
    assert (first.copy.src, first.copy.dest) == ("/a", "/w/b/")
    assert second.mkdir is not None
    assert second.mkdir.path == "/w/c"
    assert third.copy is not None
    assert third.copy.owner is not None
    assert third.copy.owner.user is not None
    assert third.copy.owner.user.by_id == 0
    assert third.copy.owner.group is not None
    assert third.copy.owner.group.by_name is not None
    assert third.copy.owner.group.by_name.input == 0


def test_empty_file_systems_fall_out_of_merges_and_diffs() -> None:
    assert llb.merge([llb.scratch(), llb.scratch()]).output is None
    assert llb.merge([llb.scratch(), BASE]).output is BASE.output
    assert llb.diff(llb.scratch(), BASE).output is BASE.output
    changed = BASE.file(llb.mkdir("/x"))
    kinds = [type(v.op.body).__name__ for v in llb.merge([BASE, llb.diff(BASE, changed)]).define(AMD64).walk()]
    assert kinds == ["SourceOp", "FileOp", "DiffOp", "MergeOp"]


def test_nothing_at_all_has_no_vertices() -> None:
    assert normal_form(llb.scratch().define(AMD64)) == []


def test_what_is_deferred_is_decided_when_the_graph_is_defined() -> None:
    paths: list[str] = []
    late = State(Output(Deferred(lambda: llb.local("context", session="s", follow=paths).output)))
    state = BASE.file(llb.copy(late, "/a", "/"))
    paths.append("a")
    sources = [v.op.source for v in state.define(AMD64).walk() if v.op.source]
    assert sources[-1].attrs["local.followpaths"] == '["a"]'


def test_of_equal_vertices_the_later_words_are_kept() -> None:
    one = llb.image("x", platform=AMD64, label=llb.Label("first", "FROM x"))
    other = llb.image("x", platform=AMD64, label=llb.Label("second", ""))
    definition = one.file(llb.copy(other, "/a", "/b")).define(AMD64)
    form = normal_form(definition)
    assert (form[0]["name"], form[0]["command"], len(form)) == ("second", "", 3)


def test_a_vertex_without_a_platform_gets_the_definitions() -> None:
    arm = Platform("arm64", "linux")
    definition = llb.scratch().run("x").root().define(arm)
    assert next(iter(definition.vertices.values())).op.platform == arm


def test_a_definition_that_exists_is_built_upon() -> None:
    below = BASE.run("x").root().define(AMD64)
    above = llb.made(below).file(llb.mkdir("/y")).define(AMD64)
    assert below.root is not None
    assert set(below.vertices) < set(above.vertices)


def test_a_definition_survives_its_bytes() -> None:
    definition = BASE.run(["a", "b"], mounts=[llb.bind("/c", llb.local("c", session="s"))]).root().define(AMD64)
    raw = definition.to_pb()
    again = Definition.from_pb(decode(type(raw), encode(raw)))
    assert normal_form(again) == normal_form(definition)


def test_a_command_of_no_words_is_refused() -> None:
    with pytest.raises(DefinitionError, match="arguments are required"):
        BASE.run("")
