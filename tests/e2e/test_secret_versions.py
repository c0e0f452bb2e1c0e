"""Versions of secrets: a new one makes the steps that use the secret run again, a new value does not."""

from __future__ import annotations

import json

import pytest
from support.program import Program

pytestmark = [pytest.mark.slow, pytest.mark.root]

DOCKERFILE = """FROM base
RUN --mount=type=secret,id=token cat /run/secrets/token > /dev/null; echo used
RUN echo other
RUN --mount=type=secret,id=token,env=TOKEN test -n "$TOKEN"; echo by name
"""


def build(program: Program, value: str, version: str) -> list[str]:
    (program.folder / "Dockerfile").write_text(DOCKERFILE)
    (program.folder / "token").write_text(value)
    secret = "id=token,src=token" + (f",version={version}" if version else "")
    target = {"contexts": {"base": "oci-layout://base"}, "secret": [secret]}
    (program.folder / "docker-bake.json").write_text(json.dumps({"target": {"default": target}}))
    return [name.partition("RUN")[2].split(";")[-1].strip() for name in program.build().ran if "RUN" in name]


def test_a_step_runs_again_when_the_version_of_its_secret_changes(program: Program) -> None:
    assert len(build(program, "a", "")) == 3
    assert build(program, "b", "") == []
    assert len(build(program, "b", "1")) == 3
    assert build(program, "c", "1") == []
    assert sorted(build(program, "c", "2")) == ["echo by name", "echo other", "echo used"]
    assert build(program, "c", "1") == []
