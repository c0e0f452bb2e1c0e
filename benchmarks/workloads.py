"""What is timed: projects made on the spot, each with the phases of its life (cold, again, after a change)."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Change = Callable[[Path], None]


def nothing(folder: Path) -> None:
    """A phase that begins with the files as they are."""


@dataclass(frozen=True)
class Phase:
    """One timed command. `cold`: with an empty cache; `change`: what happens to the files before it; `critical`: to be
    held against its critical path."""

    name: str
    cold: bool = False
    change: Change = nothing
    critical: bool = False


@dataclass(frozen=True)
class Workload:
    """A project and its phases. `make` writes the files, given the base image's layout and a registry."""

    name: str
    make: Callable[[Path, str, str], None]
    phases: tuple[Phase, ...] = (Phase("cold", cold=True), Phase("again"))
    arguments: tuple[str, ...] = ()


@dataclass
class BakeFile:
    """A docker-bake.json, which both contestants read."""

    base: str
    targets: dict[str, dict[str, object]] = field(default_factory=dict)

    def add(self, name: str, **attributes: object) -> None:
        """A target over the base image, its result left in the cache unless `output` says otherwise."""
        plain = {"contexts": {"base": self.base}, "output": ["type=cacheonly"]}
        provenance = {"attest": ["type=provenance,disabled=true"]}
        self.targets[name] = {**plain, **provenance, **attributes}

    def write(self, folder: Path) -> None:
        """Writes the file with a group of all targets."""
        text = json.dumps({"group": {"default": {"targets": list(self.targets)}}, "target": self.targets}, indent=1)
        (folder / "docker-bake.json").write_text(text)


def trivial_runs(folder: Path, base: str, registry: str) -> None:
    """80 trivial RUN steps in 10 targets: what a step costs."""
    bake = BakeFile(base)
    for number in range(10):
        steps = "".join(f"RUN echo {number} {step} > /f{step}\n" for step in range(8))
        (folder / f"{number}.Dockerfile").write_text(f"FROM base\n{steps}")
        bake.add(f"t{number}", dockerfile=f"{number}.Dockerfile")
    bake.write(folder)


def shared_stages(folder: Path, base: str, registry: str) -> None:
    """30 targets over the same six stages: what is common is done once."""
    _thirty_targets(folder, base, seconds=0.3)


def long_stages(folder: Path, base: str, registry: str) -> None:
    """The same with stages that take as long as stages do: what is around them counts for less."""
    _thirty_targets(folder, base, seconds=3)


def _thirty_targets(folder: Path, base: str, seconds: float) -> None:
    stages = "".join(f"FROM base AS s{n}\nRUN sleep {seconds}; echo stage {n} > /s{n}\n" for n in range(6))
    copies = "".join(f"COPY --from=s{n} /s{n} /\n" for n in range(6))
    (folder / "Dockerfile").write_text(f"{stages}FROM base\n{copies}ARG N\nRUN echo $N > /n\n")
    bake = BakeFile(base)
    for number in range(30):
        bake.add(f"t{number}", args={"N": str(number)})
    bake.write(folder)


def copies(folder: Path, base: str, registry: str) -> None:
    """300 targets of six COPY steps each: the cost of a graph, and of small layers."""
    bake = BakeFile(base)
    (folder / "Dockerfile").write_text("FROM scratch\nARG N\n" + "".join(f"COPY $N/f{n} /\n" for n in range(6)))
    for number in range(300):
        (folder / str(number)).mkdir()
        for n in range(6):
            (folder / str(number) / f"f{n}").write_text(f"{number} {n}\n")
        bake.add(f"t{number}", args={"N": str(number)}, contexts={})
    bake.write(folder)


def many_files(folder: Path, base: str, registry: str) -> None:
    """A context of 20,000 files."""
    rng = random.Random(1)
    for number in range(200):
        part = folder / "tree" / f"d{number}"
        part.mkdir(parents=True)
        for n in range(100):
            (part / f"f{n}").write_bytes(rng.randbytes(500))
    (folder / "Dockerfile").write_text("FROM base\nCOPY tree /tree\nRUN ls /tree | wc -l > /count\n")
    bake = BakeFile(base)
    bake.add("default")
    bake.write(folder)


def one_file_changed(folder: Path) -> None:
    """An edit deep in the context."""
    path = folder / "tree" / "d100" / "f50"
    path.write_bytes(path.read_bytes() + b"x")


def big_push(folder: Path, base: str, registry: str) -> None:
    """A 512 MB layer, pushed with gzip. Half of it compresses well, as programs do."""
    rng = random.Random(2)
    block = rng.randbytes(1 << 19) + bytes(range(256)) * (1 << 11)
    with (folder / "big").open("wb") as file:
        for _ in range(512):
            file.write(block)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY big /\n")
    bake = BakeFile(base)
    bake.add("default", contexts={}, tags=[f"{registry}/bench:big"], output=["type=image,push=true"])
    bake.write(folder)


def another_big_file(folder: Path) -> None:
    """Bytes that the registry has not seen."""
    with (folder / "big").open("r+b") as file:
        for position in range(0, 512 << 20, 1 << 20):
            file.seek(position)
            file.write(random.randbytes(64))


def big_pull(folder: Path, base: str, registry: str) -> None:
    """An image of ten layers and 2 GB in 24,300 files, pulled and unpacked. bakery pushes it, once for a registry."""
    (folder / "Dockerfile").write_text(f"FROM {registry}/bench:pull\nRUN ls /l9 > /seen\n")
    bake = BakeFile(base)
    bake.add("default", contexts={})
    bake.write(folder)
    try:
        manifest = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
        known = urllib.request.Request(f"http://{registry}/v2/bench/manifests/pull", headers=manifest)
        urllib.request.urlopen(known, timeout=10).close()
    except urllib.error.HTTPError:
        _push_big_image(folder / ".base", base, registry)


def _push_big_image(layout: Path, base: str, registry: str) -> None:
    """Nine trees over the base, each of 2,700 files of 1 to 512 KiB; half of every file compresses well."""
    rng = random.Random(3)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        shutil.copytree(layout, folder / ".base")
        for layer in range(1, 10):
            for number in range(2700):
                path = folder / f"l{layer}" / f"d{number // 50}" / f"f{number}"
                path.parent.mkdir(parents=True, exist_ok=True)
                half = int(2 ** rng.uniform(9, 18))
                path.write_bytes(rng.randbytes(half) + (b"%d is a file\n" % number * half)[:half])
        (folder / "Dockerfile").write_text("FROM base\n" + "".join(f"COPY l{n} /l{n}\n" for n in range(1, 10)))
        bake = BakeFile(base)
        bake.add("default", tags=[f"{registry}/bench:pull"], output=["type=image,push=true"])
        bake.write(folder)
        command = [Path(sys.executable).with_name("bakery"), "build", "--progress=quiet"]
        subprocess.run(command, cwd=folder, check=True, env={**os.environ, "BAKERY_ROOT": f"{folder}/root"})


def matrix(folder: Path, base: str, registry: str) -> None:
    """200 targets from a matrix, only printed."""
    (folder / "docker-bake.hcl").write_text(
        'group "default" { targets = ["t"] }\n'
        'target "t" {\n'
        '  name = "t-${a}-${b}"\n'
        "  matrix = { a = range(20), b = range(10) }\n"
        '  args = { A = a, B = upper("x${b}") }\n'
        '  tags = ["example.test/t:${a}-${b}", "example.test/t:${md5("${a}${b}")}"]\n'
        "}\n"
    )


def side_by_side(folder: Path, base: str, registry: str) -> None:
    """Twelve stages of one second each that do not depend on each other."""
    stages = "".join(f"FROM base AS s{n}\nRUN sleep 1; echo {n} > /s{n}\n" for n in range(12))
    wanted = "".join(f"COPY --from=s{n} /s{n} /\n" for n in range(12))
    (folder / "Dockerfile").write_text(f"{stages}FROM scratch\n{wanted}")
    bake = BakeFile(base)
    bake.add("default")
    bake.write(folder)


WORKLOADS = (
    Workload("trivial-runs", trivial_runs),
    Workload("shared-stages", shared_stages, (Phase("cold", cold=True, critical=True), Phase("again"))),
    Workload("long-stages", long_stages, (Phase("cold", cold=True, critical=True),)),
    Workload("copies", copies),
    Workload(
        "many-files",
        many_files,
        (Phase("cold", cold=True), Phase("one changed", change=one_file_changed), Phase("again")),
    ),
    Workload("big-push", big_push, (Phase("cold", cold=True, change=another_big_file),)),
    Workload("big-pull", big_pull, (Phase("cold", cold=True),)),
    Workload("matrix-print", matrix, (Phase("print"),), ("--print",)),
    Workload("side-by-side", side_by_side, (Phase("cold", cold=True, critical=True), Phase("again"))),
)
