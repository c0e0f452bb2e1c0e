"""Steps in an OCI runtime, crun or runc: it makes the namespaces and mounts.

Configuration: https://github.com/opencontainers/runtime-spec/blob/main/config.md
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import Any

import trio

from engine.errors import StepError
from engine.events import Stream
from engine.llb.ops import NetMode, SecurityMode
from engine.sandbox import emulation, hooks, process
from engine.sandbox.cgroups import within_limits
from engine.sandbox.contract import BindMount, Exit, Output, Step, TmpfsMount
from engine.sandbox.defaults import CAPABILITIES, DEVICES, MASKED_PATHS, READONLY_PATHS, SHM_SIZE
from engine.sandbox.entry import NOT_EXECUTABLE, bound_to_parent, container_entry, not_executable, own_capabilities
from engine.snapshots import namespace, user_namespace
from engine.snapshots.kernel import mount
from engine.snapshots.work import WorkFolder, discard

_LAUNCHER, _STATUS = 3, 4
"""The descriptors that a container keeps."""
_PAUSE = 0.01
_SAFE = ["nosuid", "noexec", "nodev"]
_FREE = 16
_PTMX, _TTY, _PTS, _MEMORY = (5, 2), (5, 0), 136, 1


class OCIRuntime:
    """Runs steps with `crun run` or `runc run`."""

    def __init__(self, name: str, binary: Path, work: WorkFolder) -> None:
        """`work` takes the bundles, for as long as a step runs."""
        self.name = name
        self._binary = str(binary)
        self._work = work

    async def run(self, step: Step, root: Path, output: Output) -> Exit:
        """Runs a step; see `Runtime.run`."""

        async def run(groups: Sequence[int]) -> Exit:
            return await self._run(step, root, output, groups)

        return await within_limits(step, output, run)

    async def _run(self, step: Step, root: Path, output: Output, groups: Sequence[int]) -> Exit:
        """`groups` are open files that join a control group."""
        emulating = await emulation.emulating(step.architecture)
        if self.name == "crun":
            _hide_second_hierarchy()
        listener = process.Listener(output)
        with ExitStack() as files:
            bundle = self._work.make("bundle")
            files.callback(discard, bundle)
            (bundle / "config.json").write_text(json.dumps(configuration(step, root, emulating is not None)))
            status, status_end = process.pipe(files)
            os.set_blocking(status.fileno(), False)
            pid_file = bundle / "pid"

            async def find_init(_: int) -> int | None:
                await trio.lowlevel.wait_readable(status.fileno())
                if not status.read(1):
                    return None
                while not (text := _text(pid_file)):  # noqa: ASYNC110 - the runtime writes it while the step begins
                    await trio.sleep(_PAUSE)
                return int(text)

            joined = range(_STATUS + 1, _STATUS + 1 + len(groups))
            inside = container_entry(step, _STATUS, joined)
            launcher = _high(files, inside.memory_file())
            status_copy = _high(files, os.dup(status_end.fileno()))
            status_end.close()
            handed = {launcher.fileno(): _LAUNCHER, status_copy.fileno(): _STATUS}
            handed |= {
                _high(files, os.dup(group)).fileno(): number for group, number in zip(groups, joined, strict=True)
            }
            args = [
                self._binary,
                "--root",
                str(bundle / "state"),
                *(["--cgroup-manager=disabled"] if self.name == "crun" else []),  # it needs none, and cannot always
                "run",
                "--bundle",
                str(bundle),
                "--pid-file",
            ]
            args += [str(pid_file), "--preserve-fds", str(len(handed)), f"bakery-{bundle.parent.name}-{bundle.name}"]
            outside = _high(
                files, bound_to_parent(args, handed, emulating, step.private_network).memory_file()
            ).fileno()
            inherited = [outside, *handed, *(fd for fd in (emulating, step.private_network) if fd is not None)]
            binder = f"/proc/self/fd/{outside}"
            command = process.Command(args, files=inherited, executable=binder, terminal=step.terminal)
            code = await process.run(command, listener, find_init, status_copy.close)
            reached = status.read(16)
        if not reached:
            problem = listener.said or inside.problem(code) or code
            raise StepError(f"the sandbox could not be set up: {problem}", hint=user_namespace.hint())
        if reached.endswith(NOT_EXECUTABLE):
            output(Stream.STDERR, not_executable(step))
        return Exit(code if code >= 0 else 128 - code)


def _hide_second_hierarchy(unified: Path = Path("/sys/fs/cgroup/unified")) -> None:
    """crun refuses machines with control groups of both versions at once; in our mount namespace there is then one."""
    namespace.enter()
    if (unified / "cgroup.procs").exists():
        mount("none", unified, "tmpfs", 0, "size=0")


def configuration(step: Step, root: Path, emulated: bool = False) -> dict[str, Any]:
    """The `config.json` of a step. Users, limits, capabilities and filters are left to the launcher."""
    insecure = step.security is SecurityMode.INSECURE
    capabilities = [f"CAP_{name}" for number, name in enumerate(CAPABILITIES) if own_capabilities() >> number & 1]
    namespaces = ["pid", "ipc", "uts", "mount", *(["network"] if step.network is NetMode.NONE else [])]
    linux: dict[str, Any] = {
        "namespaces": [{"type": kind} for kind in namespaces],
        "resources": {"devices": [{"allow": True, "access": "rwm"}] if insecure else _device_rules(step)},
        "maskedPaths": [] if insecure else [*MASKED_PATHS, "/sys/fs/cgroup"],
        "readonlyPaths": [] if insecure else list(READONLY_PATHS),
        "devices": _devices() if insecure else [],
    }
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": [f"/proc/self/fd/{_LAUNCHER}"],
            "env": [],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
            "noNewPrivileges": False,
        },
        "root": {"path": str(root), "readonly": step.readonly_root},
        "hostname": step.hostname,
        "mounts": [*_own_mounts(insecure), _sys(step, insecure, emulated), *(_mount(item) for item in step.mounts)],
        "linux": linux,
        "hooks": hooks.configuration(step.hooks),
    }


def _own_mounts(insecure: bool) -> list[dict[str, Any]]:
    def entry(path: str, kind: str, *options: str) -> dict[str, Any]:
        return {"destination": path, "type": kind, "source": kind, "options": list(options)}

    pts = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
    return [
        entry("/proc", "proc", *_SAFE),
        entry("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        entry("/dev/pts", "devpts", *pts),
        entry("/dev/shm", "tmpfs", *_SAFE, "mode=1777", f"size={SHM_SIZE}"),
        entry("/dev/mqueue", "mqueue", *_SAFE),
    ]


def _sys(step: Step, insecure: bool, emulated: bool) -> dict[str, Any]:
    access = "rw" if insecure else "ro"
    seen_here = step.private_network is not None or user_namespace.mounts_sysfs()
    if step.network is NetMode.NONE or (not emulated and seen_here):
        return {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*_SAFE, access]}
    return {"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind", *_SAFE, access]}


def _mount(mount: BindMount | TmpfsMount) -> dict[str, Any]:
    if isinstance(mount, TmpfsMount):
        options = ["nosuid", "nodev", f"mode={mount.mode:o}", *([f"size={mount.size}"] if mount.size else [])]
        return {"destination": mount.dest, "type": "tmpfs", "source": "tmpfs", "options": options}
    flags = {"nosuid": mount.nosuid, "nodev": mount.nodev, "noexec": mount.noexec}
    options = ["rbind", "ro" if mount.readonly else "rw", *(name for name, is_set in flags.items() if is_set)]
    return {"destination": mount.dest, "type": "bind", "source": str(mount.source), "options": options}


def _device_rules(step: Step) -> list[dict[str, Any]]:
    """Any node may be made; opened may be only those of a step's /dev, and those that it is given."""
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    rules += [{"allow": True, "type": kind, "access": "m"} for kind in ("c", "b")]
    for major, minor in (*((_MEMORY, minor) for minor in DEVICES.values()), _TTY, _PTMX):
        rules.append({"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"})
    rules.append({"allow": True, "type": "c", "major": _PTS, "access": "rwm"})
    for item in step.mounts:
        if isinstance(item, BindMount) and item.is_node:
            info = item.source.stat()
            kind = "b" if stat.S_ISBLK(info.st_mode) else "c"
            major, minor = os.major(info.st_rdev), os.minor(info.st_rdev)
            rules.append({"allow": True, "type": kind, "major": major, "minor": minor, "access": "rwm"})
    return rules


def _devices() -> list[dict[str, Any]]:
    """The device nodes of this machine, for a step that may have all of them; the runtime makes the usual ones."""
    found: list[dict[str, Any]] = []
    with os.scandir("/dev") as entries:
        for entry in entries:
            info = entry.stat(follow_symlinks=False)
            if not (stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)) or entry.name in (
                *DEVICES,
                "tty",
                "ptmx",
            ):
                continue
            kind, number = "c" if stat.S_ISCHR(info.st_mode) else "b", info.st_rdev
            found.append(
                {
                    "path": entry.path,
                    "type": kind,
                    "major": os.major(number),
                    "minor": os.minor(number),
                    "fileMode": stat.S_IMODE(info.st_mode),
                    "uid": info.st_uid,
                    "gid": info.st_gid,
                }
            )
    return found


def _text(path: Path) -> str:
    """A file's text, empty as long as there is none."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _high(files: ExitStack, fd: int) -> FileIO:
    """Moves a descriptor beyond the numbers that are handed on, so that none is overwritten on the way."""
    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FREE)
    os.close(fd)
    return files.enter_context(FileIO(high, "r"))
