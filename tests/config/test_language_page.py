"""Every example of docs/language.md loads, and what is said to be printed is printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bakery.cli.complaints import report_error
from bakery.config import LoadRequest, load
from bakery.config.functions import BUILTINS
from bakery.config.printing import target_json
from bakery.diagnostics import BakeryError

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
BLOCK = re.compile(r"^<!-- (?P<what>[^\n]*?) -->\n```\w*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Section:
    title: str
    files: dict[str, str] = field(default_factory=dict)
    prints: dict[str, str] = field(default_factory=dict)
    says: str = ""


def sections() -> Iterator[Section]:
    for part in PAGE.read_text().split("\n## ")[1:]:
        section = Section(part.partition("\n")[0])
        for block in BLOCK.finditer(part):
            kind, _, rest = block["what"].partition(": ")
            match kind:
                case "file":
                    section.files[rest.partition(";")[0]] = block["text"]
                case "prints":
                    section.prints[rest or "default"] = block["text"]
                case "says":
                    section.says = block["text"]
        if section.files:
            yield section


@pytest.mark.parametrize("section", list(sections()), ids=lambda section: section.title)
def test_examples(section: Section, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, text in section.files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    request = LoadRequest(cwd=tmp_path, targets=("all",), env={"NPM_TOKEN": "x"})
    if section.says:
        with pytest.raises(BakeryError) as caught:
            load(request)
        report_error(caught.value)
        assert capfd.readouterr().err == section.says
        return
    project = load(request)
    assert project.warnings == ()
    for name, text in section.prints.items():
        targets = project.targets
        if json.loads(text).get("output") == [{"type": "cacheonly"}]:
            targets = load(LoadRequest(cwd=tmp_path)).targets
        assert target_json(targets[name]) == json.loads(text)


def test_every_built_in_function_is_listed() -> None:
    listed = PAGE.read_text().partition("106 functions are built in:")[2].partition("You can add")[0]
    assert sorted(re.findall(r"[a-z][a-z0-9_]+(?=[,\n])", listed)) == sorted(BUILTINS)
