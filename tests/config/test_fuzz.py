"""Mutated bake files end in a project or in diagnostics, never in anything else, and soon.

`BAKERY_FUZZ=100000 pytest tests/config/test_fuzz.py` makes a long run; `BAKERY_FUZZ_SEED` repeats one.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from bakery.config import LoadRequest, load
from bakery.config.hcl_format import format_hcl
from bakery.config.printing import print_json
from bakery.diagnostics import BakeryError, SourceFile

CASES = Path(__file__).parent.parent / "vectors" / "bake"
SUFFIXES = (".hcl", ".json", ".yaml", ".yml")
COUNT = int(os.environ.get("BAKERY_FUZZ", "300"))
SEED = int(os.environ.get("BAKERY_FUZZ_SEED", str(random.randrange(1 << 32))))
PIECES = (
    *"{}[]()\"'$%~=,.:?!-+*/<>&|\\\n\t #0~_",
    "${", "%{", "~}", "...", "=>", "[*]", "<<E\n", "for x in ", " if ", "null", "true", "target", "group.", "resolved.",
    "1e9999", "99999999999999999999", "-", "\u0301", "\U0001f468\u200d\U0001f469", "\ufeff", "\r", "range(1e9)", "&a ",
    "*a", "<<: ", "{{ ", " }}", "{% for a in [1] %}", "inherits = [\"app\"]", "matrix = { a = [1, 2] }", "!reset ",
)  # fmt: skip


def _corpus() -> list[tuple[str, str]]:
    paths = [
        path for path in CASES.rglob("*") if path.suffix in SUFFIXES and not path.name.startswith(("case.", "std"))
    ]
    return [(path.suffix, path.read_text()) for path in sorted(paths) if "sensible" not in path.name]


def _mutated(text: str, chance: random.Random, corpus: list[tuple[str, str]]) -> str:
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at, length = chance.randrange(len(text) + 1), chance.choice((0, 1, 1, 2, 5, 20, 200))
        match chance.randrange(5):
            case 0:
                text = text[:at] + text[at + length :]
            case 1:
                text = text[:at] + text[at : at + length] * chance.choice((2, 3, 50)) + text[at + length :]
            case 2:
                other = chance.choice(corpus)[1]
                start = chance.randrange(len(other) + 1)
                text = text[:at] + other[start : start + length * 2] + text[at:]
            case _:
                text = text[:at] + chance.choice(PIECES) * chance.choice((1, 1, 1, 300)) + text[at + length :]
    return text


@pytest.mark.parametrize("part", range(4))
def test_mutated_files_give_projects_or_diagnostics(part: int, tmp_path: Path) -> None:
    chance = random.Random(SEED * 4 + part)
    corpus = _corpus()
    print(f"seed {SEED}")
    for number in range(COUNT // 4):
        suffix, text = chance.choice(corpus)
        mutated = _mutated(text, chance, corpus)
        name = f"x.bakery{suffix}" if chance.random() < 0.4 else f"docker-bake{suffix}"
        path = tmp_path / name
        path.write_text(mutated, encoding="utf-8", errors="replace")
        try:
            outcome = _outcome(name, mutated, tmp_path, chance.choice((("all",), (), ("app",))))
        except BaseException:
            shutil.copy(path, tmp_path / f"failed-{number}{suffix}")
            print(f"seed {SEED}, input {number} of part {part}: kept in {tmp_path}")
            raise
        assert outcome


def _outcome(name: str, text: str, folder: Path, targets: tuple[str, ...]) -> str:
    """The printed project, or the error."""
    try:
        printed = print_json(load(LoadRequest(files=(name,), targets=targets, cwd=folder, env={"PORT": "1"})))
        if name.endswith(".hcl"):
            once = format_hcl(SourceFile(name, text))
            assert format_hcl(SourceFile(name, once)) == once
    except BakeryError as error:
        return str(error)
    return printed
