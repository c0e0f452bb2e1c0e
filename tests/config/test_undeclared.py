"""`--var` with a name that nothing declares is said so: the peer drops it without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.config import LoadRequest, load
from bakery.diagnostics import BakeryError, Diagnostic

BAKE = 'IMAGE = "app"\nvariable "TAG" { default = "dev" }\ntarget "default" { tags = ["${IMAGE}:${TAG}"] }\n'
COMPOSE = "services:\n  web:\n    build: {context: ., args: {A: '${LEVEL:-1}'}}\n"


def warnings(folder: Path, name: str, text: str, *variables: str, strict: bool | None = None) -> list[Diagnostic]:
    (folder / name).write_text(text)
    return list(load(LoadRequest(variables=variables, cwd=folder, strict=strict)).warnings)


def test_a_misspelled_name_points_at_the_variable_that_was_meant(tmp_path: Path) -> None:
    (warning,) = warnings(tmp_path, "docker-bake.hcl", BAKE, "TGA=1")
    assert str(warning) == ("docker-bake.hcl:2,1-15: --var TGA changes nothing; no variable of this name is declared")
    assert warning.hint == 'did you mean "TAG"?'


def test_an_attribute_and_what_is_built_in_cannot_be_set(tmp_path: Path) -> None:
    attribute, built_in = warnings(tmp_path, "docker-bake.hcl", BAKE, "IMAGE=x", "BAKE_CMD_CONTEXT=x")
    assert str(attribute).startswith("docker-bake.hcl:1,1-6: --var IMAGE changes nothing; IMAGE is an attribute")
    assert str(built_in).startswith("--var BAKE_CMD_CONTEXT changes nothing; ")


def test_declared_names_and_their_json_form_are_known(tmp_path: Path) -> None:
    assert warnings(tmp_path, "docker-bake.hcl", BAKE, "TAG=1", 'TAG_JSON="1"') == []


def test_compose_files_know_the_names_that_they_use(tmp_path: Path) -> None:
    (warning,) = warnings(tmp_path, "compose.yaml", COMPOSE, "LEVEL=2", "LEVELS=2")
    assert warning.summary == "--var LEVELS changes nothing"


def test_files_that_a_compose_file_includes_use_names_too(tmp_path: Path) -> None:
    (tmp_path / "part.yaml").write_text(COMPOSE)
    assert warnings(tmp_path, "compose.yaml", "include: [part.yaml]\n", "LEVEL=2") == []


@pytest.mark.parametrize(("name", "strict"), [("bakery.hcl", None), ("docker-bake.hcl", True)])
def test_in_strict_files_it_is_an_error(name: str, strict: bool | None, tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match="--var TGA changes nothing"):
        warnings(tmp_path, name, BAKE, "TGA=1", strict=strict)


def test_own_files_need_not_be_strict(tmp_path: Path) -> None:
    assert len(warnings(tmp_path, "bakery.hcl", BAKE, "TGA=1", strict=False)) == 1
