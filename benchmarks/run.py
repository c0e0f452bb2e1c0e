"""Times bakery, side by side with BuildKit where one can be found, and prints medians and ratios.

    python benchmarks/run.py [--runs N] [--only NAME] [--json FILE]

Whole processes are timed, the contestants in turn, so that a machine that grows slower slows both. The peer is found
through BENCH_BUILDX, BENCH_BUILDER and BENCH_BUILDCTL (see contestants.py), the registry to push to through
BENCH_REGISTRY (default localhost:5000). The base image is the layout made by scripts/base-image busybox.
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

BASE = Path(__file__).resolve().parent.parent / "examples" / "hello" / ".base"


def timed(contestant: Contestant, folder: Path, workload: Workload) -> float:
    """Seconds of one run; ends everything if it fails."""
    command = contestant.command(workload.arguments)
    quiet = [] if "--print" in workload.arguments else ["--progress=plain"]
    begun = time.perf_counter()
    done = subprocess.run([*command, *quiet], cwd=folder, env=contestant.environment(), capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{contestant.name} failed at {workload.name}:\n{done.stderr[-3000:]}")
    return seconds


def measure(workload: Workload, contestants: list[Contestant], runs: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by phase and contestant."""
    seconds: dict[str, dict[str, list[float]]] = {p.name: {c.name: [] for c in contestants} for p in workload.phases}
    for _ in range(runs):
        for contestant in contestants:
            folder = Path(tempfile.mkdtemp(prefix="bench-"))
            try:
                shutil.copytree(BASE, folder / ".base")
                workload.make(folder, "oci-layout://.base", os.environ.get("BENCH_REGISTRY", "localhost:5000"))
                for phase in workload.phases:
                    seconds[phase.name][contestant.name].append(one_phase(phase, contestant, folder, workload))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return seconds


def one_phase(phase: Phase, contestant: Contestant, folder: Path, workload: Workload) -> float:
    """Prepares a phase and times it."""
    phase.change(folder)
    if phase.cold:
        contestant.forget()
    return timed(contestant, folder, workload)


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
    figures: dict[str, dict[str, dict[str, list[float]]]] = {}
    print(
        f"{'workload':16} {'phase':12} " + " ".join(f"{c.name:>10}" for c in contestants) + ("  ratio" if peer else "")
    )
    for workload in WORKLOADS:
        if arguments.only and workload.name not in arguments.only:
            continue
        figures[workload.name] = measure(workload, contestants, arguments.runs)
        for phase, by_name in figures[workload.name].items():
            medians = [statistics.median(by_name[c.name]) for c in contestants]
            ratio = f"  {medians[0] / medians[1]:.2f}" if peer else ""
            print(f"{workload.name:16} {phase:12} " + " ".join(f"{m:9.2f}s" for m in medians) + ratio, flush=True)
    if arguments.json:
        machine = {"machine": platform.machine(), "cores": os.cpu_count(), "kernel": platform.release()}
        arguments.json.write_text(json.dumps({**machine, "runs": arguments.runs, "seconds": figures}, indent=1))


if __name__ == "__main__":
    main()
