"""What bash, zsh and fish really complete, each with the script that `bakery completion` writes for it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.patience import PATIENCE
from support.program import REPOSITORY

BAKE = 'target "api" {}\ntarget "app" {}\ntarget "web" {}\ngroup "all" { targets = ["api", "app"] }\n'
"""Seconds after which a shell that says nothing is broken."""

CASES = [
    ("bakery build a", {"api", "app", "all"}),
    ("bakery build api ap", {"app"}),
    ("bakery hi", {"history"}),
    ("bakery build --meta", {"--metadata-file"}),
    ("bakery build --progress raw", {"rawjson"}),
    ("bakery history logs la", {"last"}),
    ("bakery history co", {"compare"}),
    ("bakery graph w", {"web"}),
]


class Shells:
    """A folder with a bake file, and scripts of completion that call this very program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "BAKERY_ROOT": str(folder / "root"),
            "HOME": str(folder),
            "TERM": "dumb",
            "LANG": "C.UTF-8",
        }
        (folder / "bin").mkdir()
        program = folder / "bin/bakery"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m bakery "$@"\n')
        program.chmod(0o755)
        (folder / "docker-bake.hcl").write_text(BAKE)

    def script(self, shell: str) -> Path:
        """The script that `bakery completion` writes."""
        if shutil.which(shell) is None:
            pytest.skip(f"needs {shell}")
        path = self.folder / f"completion.{shell}"
        path.write_text(self.run("bakery", "completion", shell))
        return path

    def run(self, *command: str) -> str:
        """What a command writes."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def type_into_zsh(self, setup: str, keys: bytes, answer: Path) -> str:
        """What a zsh at a terminal leaves in a file after keys were pressed."""
        (self.folder / ".zshrc").write_text(setup)
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(self.folder)
            os.execvpe("zsh", ["zsh", "-d", "-i"], self.environ)
        try:
            said, ends = b"", time.monotonic() + PATIENCE
            while not answer.exists() or not answer.read_text().endswith("\n"):
                if keys and b"listening" in said:
                    os.write(terminal, keys)
                    keys = b""
                if select.select([terminal], [], [], 0.1)[0]:
                    said += os.read(terminal, 4096)
                assert time.monotonic() < ends, said.decode(errors="replace")
            return answer.read_text()
        finally:
            os.kill(process, 9)
            os.waitpid(process, 0)
            os.close(terminal)


@pytest.fixture
def shells(tmp_path: Path) -> Shells:
    return Shells(tmp_path)


@pytest.mark.parametrize(("words", "expected"), CASES)
def test_bash(words: str, expected: set[str], shells: Shells) -> None:
    count = words.count(" ")
    ask = f'COMP_WORDS=({words}); COMP_CWORD={count}; _bakery_completion bakery; printf "%s\\n" "${{COMPREPLY[@]}}"'
    assert set(shells.run("bash", "--norc", "-c", f"source {shells.script('bash')}\n{ask}").split()) == expected


@pytest.mark.parametrize(("words", "expected"), CASES)
def test_fish(words: str, expected: set[str], shells: Shells) -> None:
    ask = f"source {shells.script('fish')}; complete --do-complete '{words}'"
    assert {line.split("\t")[0] for line in shells.run("fish", "--no-config", "-c", ask).splitlines()} == expected


@pytest.mark.parametrize(("words", "expected"), CASES)
def test_zsh(words: str, expected: set[str], shells: Shells) -> None:
    """Where one word is meant, it is typed to its end; of several the first is, with the next key."""
    answer = shells.folder / "answer"
    setup = f"""
PS1='> '
autoload -Uz compinit && compinit -u -D
source {shells.script("zsh")}
setopt menu_complete
tell() {{ print -r -- "$BUFFER" > {answer} }}
zle -N tell
bindkey '^X' tell
listen() {{ print -n listening > /dev/tty }}
zle -N zle-line-init listen
"""
    typed = shells.type_into_zsh(setup, words.encode() + b"\t\x18", answer)
    assert typed.removesuffix("\n").rstrip() in {" ".join([*words.split(" ")[:-1], word]) for word in expected}
