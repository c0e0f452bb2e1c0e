"""Cases of `tests/config/answers`: bake files in one text, beside them what the peer answered.

A case begins with `=== name`; `argv:` and `env:` are written as in a shell; `--- path` begins a file. `differs:` says
why bakery's answer is another one on purpose: then what counts is `ours`, not `peer`.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "config" / "answers"


@dataclass
class Case:
    topic: str
    name: str
    argv: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    differs: str = ""
    files: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Put the files of the case into a folder."""
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def cases(topic: str) -> list[Case]:
    """All cases of a topic, in file order."""
    found: list[Case] = []
    file = ""
    for line in (FOLDER / f"{topic}.txt").read_text(encoding="utf-8").splitlines(keepends=True):
        kind, _, rest = line.rstrip("\n").partition(" ")
        if kind == "===":
            found.append(Case(topic, rest))
            file = ""
        elif kind == "---" and rest:
            file = rest
            found[-1].files[file] = ""
        elif file:
            found[-1].files[file] += line
        elif kind == "argv:":
            found[-1].argv = shlex.split(rest)
        elif kind == "env:":
            found[-1].env = dict(part.split("=", 1) for part in shlex.split(rest))
        elif kind == "differs:":
            found[-1].differs = rest
        else:
            raise ValueError(f"{topic}: {line!r} belongs to no file of {found[-1].name}")
    return found


def answer(code: int, out: str, err: str) -> dict[str, Any]:
    """What is kept of a run: the exit code, and what was printed or the error line without its place in a pile."""
    if code == 0:
        try:
            return {"code": 0, "json": json.loads(out)}
        except ValueError:
            return {"code": 0, "rows": [line.split() for line in out.splitlines()]}
    lines = [line for line in err.splitlines() if line.startswith("ERROR: ")]
    return {"code": code, "error": lines[-1].removeprefix("ERROR: ") if lines else ""}


def answers(topic: str) -> dict[str, Any]:
    """The recorded answers of a topic, by case."""
    found: dict[str, Any] = json.loads((FOLDER / f"{topic}.json").read_text(encoding="utf-8"))
    return found


def differences(peer: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Where two answers differ. The order in groups does not count: the peer's is by chance.

    Where the peer gives a place, it counts, with the summary; else the text up to its first `: ` or `; `.
    """
    if peer["code"] != ours["code"]:
        return [f"exit code {peer['code']} and {ours['code']}: {ours.get('error', '')}"]
    if peer["code"] == 0:
        return [] if _ordered(peer) == _ordered(ours) else ["other output"]
    theirs, mine = _parts(peer["error"]), _parts(ours["error"])
    if theirs[0]:
        return [] if theirs == mine else [f"{theirs} and {mine}"]
    text = ours["error"][len(mine[0]) :].removeprefix(": ")
    return [] if text.startswith(theirs[1]) else [f"{theirs[1]} and {text}"]


def _ordered(found: dict[str, Any]) -> Any:
    printed = found.get("json")
    if not isinstance(printed, dict):
        return found
    groups = {name: sorted(group["targets"] or ()) for name, group in printed.get("group", {}).items()}
    return {**printed, "group": groups}


def _parts(line: str) -> tuple[str, str]:
    place = re.match(r"[^ ]+?:\d+,\d+-(\d+,)?\d+(?=: )", line)
    text = line[place.end() + 2 :] if place else line
    return (place[0] if place else "", re.split(r": |; |, and \d+ other", text, maxsplit=1)[0].strip())
