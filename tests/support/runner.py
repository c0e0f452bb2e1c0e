"""A small runner of CI workflows: jobs in the order of their needs, each on a "machine" of its own, with its shell.

Actions (`uses:`) are not run; of GitHub's expressions those are known that `bakery ci` writes, and another is an error.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.program import REPOSITORY

_EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")
_WAVE = re.compile(r"fromJSON\(needs\.plan\.outputs\.plan\)\.waves\[(\d+)\]")


@dataclass
class Machines:
    """Runs the commands of jobs. Every machine has the same files, and nothing that another has built."""

    checkout: Path
    folder: Path
    ran: list[str] = field(default_factory=list)
    """The targets that jobs were run for, in order."""

    def __post_init__(self) -> None:
        programs = self.folder / "bin"
        programs.mkdir(parents=True)
        self._program(programs / "pip", "exit 0")
        self._program(programs / "sudo", "exit 0")
        told = f'if [ "$1" = build ]; then set -- "$@" --metadata-file "{self.folder}/$TARGET.json"; fi'
        self._program(programs / "bakery", f'{told}\nexec {sys.executable} -P -m bakery "$@"')

    def hits(self, target: str) -> tuple[int, int]:
        """How many steps of a target were known when its job ran, and how many it has."""
        told = json.loads((self.folder / f"{target}.json").read_text())[target]
        return told["bakery.hits"], told["bakery.steps"]

    def shell(self, name: str, script: str, env: Mapping[str, str]) -> str:
        """Runs commands as a job's shell does; what they wrote to stderr."""
        machine = self.folder / name
        machine.mkdir(exist_ok=True)
        environ = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(machine),
            "BAKERY_ROOT": str(machine / "root"),
            "BUILDKIT_PROGRESS": "plain",
            **env,
        }
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script], cwd=self.checkout, env=environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stderr

    def _program(self, path: Path, script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


@dataclass
class GitHubRunner:
    """Runs a workflow of GitHub Actions for an event."""

    machines: Machines
    event: str = "push"
    before: str = ""
    summaries: dict[str, str] = field(default_factory=dict)

    def run(self, text: str) -> None:
        """All jobs. Raises AssertionError where a step fails."""
        self._outputs: dict[str, str] = {}
        jobs: dict[str, Any] = yaml.safe_load(text)["jobs"]
        for name in _in_order({name: job.get("needs", []) for name, job in jobs.items()}):
            if "if" in jobs[name] and not self._wave(jobs[name]["if"])["include"]:
                continue
            for row in self._rows(jobs[name]):
                self._job(f"{name}-{row['target']}" if row else name, jobs[name], row)

    def _rows(self, job: Mapping[str, Any]) -> list[dict[str, Any]]:
        matrix = job.get("strategy", {}).get("matrix", {"include": [{}]})
        found: list[dict[str, Any]] = (self._wave(matrix) if isinstance(matrix, str) else matrix)["include"]
        return found

    def _wave(self, expression: str) -> Any:
        """The wave that an expression takes from the plan; one beyond the last is as nothing, as it is there."""
        match = _WAVE.search(expression)
        assert match, expression
        waves = json.loads(self._outputs["plan"])["waves"]
        number = int(match[1])
        return waves[number] if number < len(waves) else {"include": []}

    def _job(self, name: str, job: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        if row:
            self.machines.ran.append(row["target"])
        output, summary = self.machines.folder / f"{name}.output", self.machines.folder / f"{name}.md"
        output.touch()
        env = {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_WORKSPACE": str(self.machines.checkout),
        }
        for step in job["steps"]:
            if "run" in step:
                own = {key: self._filled(value, row) for key, value in step.get("env", {}).items()}
                self.machines.shell(name, step["run"], env | own)
        if summary.exists():
            self.summaries[name] = summary.read_text()
        self._outputs |= dict(line.split("=", 1) for line in output.read_text().splitlines())

    def _filled(self, text: str, row: Mapping[str, Any]) -> str:
        def value(match: re.Match[str]) -> str:
            expression = match[1]
            if expression.startswith("matrix."):
                found = row[expression.removeprefix("matrix.")]
                return str(found).lower() if isinstance(found, bool) else str(found)
            if expression == "github.event_name != 'pull_request'":
                return str(self.event != "pull_request").lower()
            assert "github.event.before" in expression, f"not known here: {expression}"
            return self.before

        return _EXPRESSION.sub(value, str(text))


@dataclass
class GitLabRunner:
    """Runs the jobs of a GitLab pipeline, of a branch."""

    machines: Machines
    env: Mapping[str, str]

    def run(self, text: str) -> None:
        """All jobs, each after those that it needs. Raises AssertionError where one fails."""
        found = yaml.safe_load(text)
        base = found[".bakery"]
        jobs = {name: job for name, job in found.items() if name.startswith("build ")}
        for name in _in_order({name: job["needs"] for name, job in jobs.items()}):
            variables = jobs[name]["variables"]
            self.machines.ran.append(variables["TARGET"])
            script = "\n".join([*base["before_script"], *base["script"]])
            env = {"CI": "true", "GITLAB_CI": "true", **self.env, **variables}
            self.machines.shell(name.replace(" ", "-"), script, env)


def _in_order(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Names after all that they need."""
    order: list[str] = []
    while len(order) < len(needs):
        ready = [name for name in needs if name not in order and set(needs[name]) <= {*order}]
        assert ready, "jobs wait for each other"
        order += ready
    return order
