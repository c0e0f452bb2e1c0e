"""`bakery context ls` tells which files a target's contexts offer, which it uses, and why others are left out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BAKE = """
target "default" { contexts = { assets = "assets" } }
target "other" { dockerfile = "other.Dockerfile" }
"""
DOCKERFILE = """FROM scratch
COPY src/*.py /app/
COPY link /app/
COPY --from=assets logo.svg /
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "docker-bake.hcl": BAKE,
        "Dockerfile": DOCKERFILE,
        "other.Dockerfile": "FROM scratch\nCOPY . /\n",
        "other.Dockerfile.dockerignore": "*\n!src/notes.md\n",
        ".dockerignore": "# none of these\nlogs\n**/*.md\n!src/notes.md\n\nassets\n",
        "src/main.py": "main",
        "src/notes.md": "notes",
        "src/readme.md": "readme",
        "logs/a/1.log": "1234567890",
        "logs/2.log": "12345",
        "assets/logo.svg": "svg",
        "assets/logo.png": "png",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "link").symlink_to("src/notes.md")
    return tmp_path


def ls(project: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "bakery.cli.main", "context", "ls", "--root", f"{project}-root", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout


def listed(project: Path, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ls(project, "--format=json", *arguments))
    return found


def test_files_are_offered_used_or_left_out(project: Path) -> None:
    main, assets = listed(project)
    assert {file["path"]: file["used"] for file in main["files"]} == {
        ".dockerignore": False,
        "Dockerfile": False,
        "docker-bake.hcl": False,
        "link": True,
        "other.Dockerfile": False,
        "other.Dockerfile.dockerignore": False,
        "src/main.py": True,
        "src/notes.md": True,
    }
    assert main["used"] == {"files": 3, "bytes": 9}
    assert [(one["path"], one["bytes"], one["files"], one["rule"], one["line"]) for one in main["leftOut"]] == [
        ("assets/", 6, 2, "assets", 6),
        ("logs/", 15, 2, "logs", 2),
        ("src/readme.md", 6, 1, "**/*.md", 3),
    ]
    assert (assets["context"], assets["ignoreFile"]) == ("assets", None)
    assert {file["path"]: file["used"] for file in assets["files"]} == {"logo.png": False, "logo.svg": True}


def test_the_rules_beside_the_dockerfile_win(project: Path) -> None:
    (main,) = listed(project, "other")
    assert main["ignoreFile"] == "other.Dockerfile.dockerignore"
    assert [(file["path"], file["used"]) for file in main["files"]] == [("src/notes.md", True)]
    left_out = {one["path"]: (one["files"], one["rule"], one["line"]) for one in main["leftOut"]}
    assert left_out["logs/"] == (2, "*", 1)
    assert left_out["src/main.py"] == (1, "*", 1)


def test_a_table_tells_the_same(project: Path) -> None:
    text = ls(project)
    assert "offers 8 files of" in text
    assert "uses 3 files of 9B" in text
    assert "  yes   4B    src/main.py\n" in text
    assert "  .dockerignore:3  **/*.md  6B    src/readme.md\n" in text


def test_what_is_fetched_is_named_without_its_password(project: Path) -> None:
    (project / "docker-bake.hcl").write_text(
        'target "default" {\n'
        '  dockerfile-inline = "FROM scratch\\nCOPY --from=src a /\\n"\n'
        '  contexts = { src = "https://me:secret@web.example/a.git#main" }\n'
        "}\n"
    )
    url = "https://me:xxxxx@web.example/a.git#main"
    assert listed(project)[-1] == {"target": "default", "context": "src", "fetchedFrom": url}
    assert ls(project).endswith(
        f"default: context src ({url})\n  is fetched, so all its files are offered: no .dockerignore applies\n"
    )
