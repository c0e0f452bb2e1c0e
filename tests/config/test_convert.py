"""`bakery convert` and `bakery init`: another spelling of the same targets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bakery.config import LoadRequest, load
from bakery.config.convert import convert_files
from bakery.config.discover import Format
from bakery.config.printing import print_json
from bakery.config.starter import starter_file
from bakery.diagnostics import BakeryError

CASES = Path(__file__).parent.parent / "vectors" / "bake"


def _plain_cases() -> list[str]:
    names = []
    for path in sorted(CASES.glob("*/case.json")):
        case = json.loads(path.read_text())
        if case["rc"] == 0 and "-f" not in case["argv"] and not case.get("ssh_keys") and "BUILDX" not in str(case):
            names.append(path.parent.name)
    return names


def _combinations() -> list[tuple[str, str]]:
    # python-hcl2 takes its time, so HCL is written for the larger files only.
    return [
        (name, form)
        for name in _plain_cases()
        for form in ("json", "yaml", "hcl")
        if form != "hcl" or name.startswith(("real-", "expr-", "json-", "compose-with"))
    ]


@pytest.mark.parametrize(("name", "form"), _combinations())
def test_a_converted_file_means_the_same(name: str, form: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    shutil.copytree(CASES / name, folder)
    env = json.loads((folder / "case.json").read_text())["env"]
    request = LoadRequest(targets=("all",), env=env, cwd=folder)
    try:
        expected = print_json(load(request))
    except BakeryError:
        pytest.skip("what the case asks for is only part of what its files declare")
    text = convert_files(LoadRequest(env=env, cwd=folder), Format[form.upper()])
    converted = "converted.bakery.yaml" if form == "yaml" else f"converted.{form}"
    (folder / converted).write_text(text)
    again = print_json(load(LoadRequest(files=(converted,), targets=("all",), env=env, cwd=folder)))
    assert json.loads(again) == json.loads(expected)


def test_expressions_are_kept_between_hcl_and_json(tmp_path: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_text(
        'variable "TAG" {\n  type = list(string)\n}\n'
        'function "f" {\n  params = [a]\n  variadic_params = rest\n  result = upper(a)\n}\n'
        'target "t" {\n  tags = ["x:${f("y")}", f("z")]\n  args = { A = 1 + 2, B = "a\\n$${b}" }\n}\n'
    )
    text = convert_files(LoadRequest(cwd=tmp_path), Format.JSON)
    assert json.loads(text) == {
        "variable": {"TAG": {"type": "list(string)"}},
        "function": {"f": {"params": ["a"], "variadic_params": "rest", "result": "${upper(a)}"}},
        "target": {"t": {"tags": ['x:${f("y")}', '${f("z")}'], "args": {"A": "${1 + 2}", "B": "a\n$${b}"}}},
    }


def test_the_written_hcl_reads_the_same_with_python_hcl2(tmp_path: Path) -> None:
    import hcl2

    (tmp_path / "compose.yaml").write_text(
        "services:\n  web.front:\n    image: web:1\n    build: {context: web, args: {A: 'x y'}, tags: ['a:1']}\n"
    )
    text = convert_files(LoadRequest(cwd=tmp_path), Format.HCL)
    ((label, body),) = hcl2.loads(text)["target"][0].items()
    assert label == '"web_front"'
    assert body["tags"] == ['"a:1"']
    assert body["args"] == {"A": '"x y"'}


def test_a_starter_file_has_every_dockerfile(tmp_path: Path) -> None:
    for path in ("Dockerfile", "api/Dockerfile", "web/Dockerfile.dev", "node_modules/x/Dockerfile"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("FROM scratch\n")
    (tmp_path / "compose.yaml").write_text("services:\n  api: {build: ./api}\n")
    (tmp_path / "bakery.hcl").write_text(starter_file(tmp_path))
    targets = load(LoadRequest(cwd=tmp_path, files=("bakery.hcl",))).targets
    places = {(target.context, target.dockerfile) for target in targets.values()}
    assert places == {(".", "Dockerfile"), ("api", "Dockerfile"), ("web", "Dockerfile.dev")}


def test_nothing_to_start_from_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match="nothing to build"):
        starter_file(tmp_path)
