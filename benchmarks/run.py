"""Times bakery, side by side with BuildKit where one can be found, and prints minima, medians and their ratios.

    python benchmarks/run.py [--runs N] [--only NAME] [--json FILE]

Whole processes are timed, the contestants in turn, so that a machine that grows slower slows both; the load of the
machine is told at the beginning and at the end. The peer is found through BENCH_BUILDX, BENCH_BUILDER and
BENCH_BUILDCTL (see contestants.py), the registry to push to through BENCH_REGISTRY (default localhost:5000). The base
image is the layout made by scripts/base-image busybox.

Where a workload asks for it, the last column is the time of bakery's fastest run in critical paths: the chain of steps
that this run had to wait for, by its own record, with nothing for what is around them (starting the program, reading,
planning, telling).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from contestants import Bakery, Contestant, Peer
from workloads import WORKLOADS, Phase, Workload

PATH = "critical path"
TRIES = 3
"""How often a run is tried: BuildKit's client loses its line to the daemon now and then where there are 300 targets."""
BASE = Path(__file__).resolve().parent.parent / "examples" / "hello" / ".base"


class Failed(Exception):
    """A run that came to nothing, with what it said."""


def timed(contestant: Contestant, folder: Path, workload: Workload) -> float:
    """Seconds of one run. Raises Failed."""
    command = contestant.command(workload.arguments)
    quiet = [] if "--print" in workload.arguments else ["--progress=plain"]
    begun = time.perf_counter()
    done = subprocess.run([*command, *quiet], cwd=folder, env=contestant.environment(), capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise Failed(f"{contestant.name} failed at {workload.name}:\n{done.stderr[-3000:]}")
    return seconds


Figures = dict[str, dict[str, list[float]]]
"""Seconds by phase and contestant."""


def measure(workload: Workload, contestants: list[Contestant], runs: int) -> Figures:
    """Times all phases. Critical paths stand beside the contestants, in as many figures as bakery has."""
    seconds: Figures = {p.name: {c.name: [] for c in contestants} for p in workload.phases}
    for _ in range(runs):
        for contestant in contestants:
            folder = Path(tempfile.mkdtemp(prefix="bench-"))
            try:
                shutil.copytree(BASE, folder / ".base")
                workload.make(folder, "oci-layout://.base", os.environ.get("BENCH_REGISTRY", "localhost:5000"))
                for phase in workload.phases:
                    seconds[phase.name][contestant.name].append(one_phase(phase, contestant, folder, workload))
                    if phase.critical and isinstance(contestant, Bakery):
                        seconds[phase.name].setdefault(PATH, []).append(contestant.critical_path(folder))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return seconds


def one_phase(phase: Phase, contestant: Contestant, folder: Path, workload: Workload) -> float:
    """Prepares a phase and times it. What fails is told and done again; what fails every time ends everything."""
    phase.change(folder)
    failed = ""
    for _ in range(TRIES):
        if phase.cold:
            contestant.forget()
        try:
            return timed(contestant, folder, workload)
        except Failed as failure:
            failed = str(failure)
            print(f"again: {failed.splitlines()[0]}", file=sys.stderr)
    sys.exit(failed)


def row(workload: str, phase: str, by_name: dict[str, list[float]]) -> str:
    """A line of the table."""
    times = {name: seconds for name, seconds in by_name.items() if name != PATH}
    out = f"{workload:14} {phase:12}"
    for summed in (min, statistics.median):
        found = [summed(seconds) for seconds in times.values()]
        out += "".join(f" {seconds:9.3f}s" for seconds in found)
        out += f"  {found[0] / found[1]:5.2f}" if len(found) > 1 else ""
    if PATH in by_name:
        best, path = min(zip(times["bakery"], by_name[PATH], strict=True))
        out += f"  {best / path:.2f} × {path:.3f}s"
    return out


def heading(contestants: list[Contestant]) -> str:
    """The head of the table."""
    out = f"{'workload':14} {'phase':12}"
    for what in ("min", "median"):
        out += "".join(f" {contestant.name:>10}" for contestant in contestants)
        out += f"  {what:>5}" if len(contestants) > 1 else ""
    return out + "  critical paths"


def load() -> str:
    """How busy the machine is."""
    return "load " + " ".join(f"{average:.1f}" for average in os.getloadavg())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", action="append", help="a workload's name; repeatable")
    parser.add_argument("--json", type=Path, help="write all figures here, too")
    arguments = parser.parse_args()
    if not (BASE / "index.json").exists():
        sys.exit("make the base image first: scripts/base-image busybox")
    peer = Peer.find()
    contestants: list[Contestant] = [Bakery(), *([peer] if peer else [])]
    figures: dict[str, Figures] = {}
    loads = [load()]
    print(f"{os.cpu_count()} cores, {loads[0]}; {arguments.runs} runs\n{heading(contestants)}")
    for workload in WORKLOADS:
        if arguments.only and workload.name not in arguments.only:
            continue
        figures[workload.name] = measure(workload, contestants, arguments.runs)
        for phase, by_name in figures[workload.name].items():
            print(row(workload.name, phase, by_name), flush=True)
    loads.append(load())
    print(loads[-1])
    if arguments.json:
        machine = {"machine": platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(), "load": loads}
        arguments.json.write_text(json.dumps({**machine, "runs": arguments.runs, "seconds": figures}, indent=1))


if __name__ == "__main__":
    main()
