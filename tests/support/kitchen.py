"""A state folder with a small root file system, and a way to run steps on it, in any runtime."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import trio

from engine.cache.mounts import CacheMounts
from engine.digests import sha256
from engine.events import Stream
from engine.llb.definition import Edge, Note, Vertex
from engine.llb.ops import ExecOp, LinuxResources, Meta, Mount, Platform
from engine.ops.context import StepContext
from engine.ops.exec import ExecOperation
from engine.request import Secret, SSHAgent, StepNetwork
from engine.results import Result, Snapshot
from engine.sandbox import find_runtime
from engine.sandbox.launcher import Launcher
from engine.secret_values import SecretReader
from engine.snapshots.store import SnapshotStore
from engine.state import State

ROOT = Mount(dest="/")
APPLETS = """
arch awk cat chmod chown chroot cut df echo env false grep head hostname id ip kill ln ls mkdir mknod mount mv ps
readlink rm setsid sh sleep sort stat test touch tr true umount unshare wc
""".split()  # noqa: SIM905


PASSWD = "root:x:0:0:root:/root:/bin/sh\nbaker:x:500:501::/home/baker:/bin/sh\n"


def present(name: str) -> bool:
    return bool(shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin"))


RUNTIMES = [
    "native",
    "bubblewrap",
    pytest.param("crun", marks=pytest.mark.skipif(not present("crun"), reason="crun is missing")),
    pytest.param("runc", marks=pytest.mark.skipif(not present("runc"), reason="runc is missing")),
]
"""For fixtures: everything that runs steps passes the same tests."""


def processes() -> list[str]:
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return lines


class Kitchen:
    """A state folder with a small root file system, and a way to run steps on it."""

    def __init__(self, folder: Path, runtime: str) -> None:
        self.state = State.open(folder / "state")
        self.store = SnapshotStore(self.state)
        self.caches = CacheMounts(self.state, self.store)
        self.runtime = find_runtime(runtime, self.state)
        self.reader = SecretReader()
        self.said = b""
        self.platform: Platform | None = None
        self.resources: LinuxResources | None = None
        self.network = StepNetwork.SHARED
        with self.store.new_layer(Snapshot()) as layer:
            for name in ("bin", "etc", "tmp", "root"):
                (layer.path / name).mkdir()
            (layer.path / "tmp").chmod(0o1777)
            shutil.copy("/bin/busybox", layer.path / "bin")
            for name in APPLETS:
                (layer.path / "bin" / name).symlink_to("busybox")
            (layer.path / "etc/passwd").write_text(
                "root:x:0:0:root:/root:/bin/sh\nbaker:x:500:501::/home/baker:/bin/sh\n"
            )
            (layer.path / "etc/group").write_text("root:x:0:\nbaker:x:501:\noven:x:77:baker\n")
            self.base = layer.commit("base")

    async def run(
        self,
        *args: str,
        on: Snapshot | None = None,
        mounts: Sequence[Mount] = (),
        inputs: Sequence[Result] = (),
        secrets: Sequence[Secret] = (),
        agents: Sequence[SSHAgent] = (),
        allowed: Sequence[str] = (),
        op: Mapping[str, object] | None = None,
        env: Sequence[str] = ("PATH=/bin",),
        cwd: str = "/",
        **meta: object,
    ) -> list[Result | None]:
        """Runs `sh -c` with one argument, else the arguments; the results."""
        command = ("/bin/sh", "-c", *args) if len(args) == 1 else args
        record = ExecOp(
            meta=Meta(args=command, env=tuple(env), cwd=cwd, **meta),  # type: ignore[arg-type]
            mounts=(ROOT, *mounts),
            **(op or {}),  # type: ignore[arg-type]
        )
        edges = [Edge(sha256(bytes([n]))) for n in range(1 + len(inputs))]
        vertex = Vertex.make(record, edges, self.platform, Note(resources=self.resources))
        self.said = b""
        context = StepContext(
            vertex=vertex,
            snapshots=self.store,
            mounts=self.caches,
            runtime=lambda: self.runtime,
            log=self._log,
            secrets={item.id: item for item in secrets},
            reader=self.reader,
            agents={item.id: item for item in agents},
            allowed=frozenset(allowed),
            network=self.network,
            log_path=self.state.logs / "build" / "step.log",
        )
        return list(await ExecOperation(vertex).run([on or self.base, *inputs], context))

    def step(self, *args: str, **options: object) -> Snapshot:
        """Runs a step; the snapshot that it makes."""

        async def run() -> list[Result | None]:
            return await self.run(*args, **options)  # type: ignore[arg-type]

        (result, *_) = trio.run(run)
        assert isinstance(result, Snapshot)
        return result

    def says(self, *args: str, **options: object) -> str:
        """What a step writes."""
        self.step(*args, **options)
        return self.said.decode()

    def left(self, snapshot: Snapshot) -> list[str]:
        """The paths in the topmost layer, without /dev, /proc and /sys."""
        top = self.store.layer_path(snapshot.layers[-1])
        paths = ["/" + str(path.relative_to(top)) for path in sorted(top.rglob("*"))]
        return [path for path in paths if path not in ("/dev", "/proc", "/sys")]

    def read(self, snapshot: Snapshot, path: str) -> str:
        return self.store.tree(snapshot).open(path).read().decode()

    def with_programs(self, programs: Mapping[str, Launcher], mode: int = 0o755) -> Snapshot:
        """The file system with programs in it, by their paths: lists of system calls."""
        with self.store.new_layer(self.base) as layer:
            for path, program in programs.items():
                place = layer.path / path.lstrip("/")
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(program.program())
                place.chmod(mode)
            return layer.commit("programs")

    def _log(self, stream: Stream, data: bytes) -> None:
        self.said += data
