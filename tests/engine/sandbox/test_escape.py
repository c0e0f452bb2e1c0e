"""What a step might try in order to get out, and what it gets: in every runtime, as root and in a user namespace."""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from support.kitchen import RUNTIMES, Kitchen
from support.patience import PATIENCE

from engine.errors import ExitError, StepError, UnsupportedError
from engine.llb.ops import CacheOpt, Mount, MountType, NetMode, Platform, SecretOpt, TmpfsOpt
from engine.ops import exec_mounts
from engine.request import Secret
from engine.sandbox import emulation, entry, launcher
from engine.sandbox.launcher import Launcher, Words, strings

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount"),
    pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs the package busybox-static"),
]

DENIED = 77
NEW_USER, NEW_NS, NEW_PID = 0x10000000, 0x20000, 0x20000000
# System calls of x86-64 by which one could reach beyond a step, with arguments that would do it.
CALLS: dict[str, tuple[int, tuple[launcher.Argument, ...]]] = {
    "acct": (163, ("/tmp/acct",)),
    "add_key": (248, ("user", "name", "value", 5, -3)),
    "bpf": (321, (0, bytes(64), 64)),
    "clock_settime": (227, (0, bytes(16))),
    "clone-newuser": (56, (NEW_USER | 17, 0, 0, 0, 0)),
    "clone3": (435, (bytes(88), 88)),
    "delete_module": (176, ("x", 0)),
    "fanotify_init": (300, (0, 0)),
    "finit_module": (313, (0, "", 0)),
    "fsopen": (430, ("tmpfs", 0)),
    "init_module": (175, (bytes(8), 8, "")),
    "io_uring_setup": (425, (4, bytes(120))),
    "iopl": (172, (3,)),
    "kexec_load": (246, (0, 0, 0, 0)),
    "keyctl-join": (250, (1, 0)),
    "mount-bind": (165, ("/", "/tmp", 0, 4096, 0)),
    "mount-tmpfs": (165, ("none", "/tmp", "tmpfs", 0, 0)),
    "mount_setattr": (442, (-100, "/", 0, bytes(32), 32)),
    "move_mount": (429, (-100, "/", -100, "/tmp", 0)),
    "open_by_handle_at": (304, (-100, bytes(16), 0)),
    "open_tree": (428, (-100, "/", 1)),
    "perf_event_open": (298, (bytes(112), 0, -1, -1, 0)),
    "personality": (135, (0x0040000,)),
    "pivot_root": (155, ("/", "/tmp")),
    "quotactl": (179, (0, 0, 0, 0)),
    "reboot": (169, (0xFEE1DEAD, 0x28121969, 0, 0)),
    "request_key": (249, ("user", "name", 0, 0)),
    "setdomainname": (171, ("x", 1)),
    "sethostname": (170, ("x", 1)),
    "setns": (308, (0, 0)),
    "settimeofday": (164, (bytes(16), 0)),
    "swapon": (167, ("/tmp/x", 0)),
    "syslog": (103, (3, bytes(64), 64)),
    "umount": (166, ("/proc", 2)),
    "unshare-mount": (272, (NEW_NS,)),
    "unshare-pid": (272, (NEW_PID,)),
    "unshare-user": (272, (NEW_USER,)),
    "userfaultfd": (323, (0,)),
    "vhangup": (153, ()),
    "vsock": (41, (40, 1, 0)),
    "x32": (0x40000000 | 39, ()),
}
ATTEMPTS = (
    "ls /var/run/docker.sock || ls /run/docker.sock || ls /run/containerd",
    "mknod /dev/loop0 b 7 0 && head -c 1 /dev/loop0",
    "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem",
    "mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk",
    "ls /dev/kvm || ls /dev/fuse || ls /dev/vda || ls /dev/kmsg || ls /dev/mem",
    "echo 1 > /proc/sys/kernel/panic",
    "echo 1 > /proc/sys/vm/drop_caches",
    "echo 100000 > /proc/sys/kernel/pid_max",
    "echo '|/x' > /proc/sys/kernel/core_pattern",
    "echo b > /proc/sysrq-trigger",
    "echo /x > /sys/kernel/uevent_helper",
    "echo /x > /sys/fs/cgroup/release_agent || echo /x > /sys/fs/cgroup/memory/release_agent",
    "mkdir /sys/fs/cgroup/x || mkdir /sys/fs/cgroup/pids/x || mkdir /sys/fs/cgroup/unified/x",
    "test -s /proc/kcore || test -s /proc/keys || test -s /proc/timer_list",
)


@pytest.fixture(params=RUNTIMES)
def kitchen(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Kitchen]:
    kitchen = Kitchen(tmp_path, request.param)
    yield kitchen
    kitchen.store.close()
    kitchen.state.close()


Call = tuple[int, tuple[launcher.Argument, ...]]


def attempts_at(calls: Mapping[str, Call]) -> dict[str, Launcher]:
    """A program in /try for each call: it ends with `DENIED` if the call fails, with 0 if it works."""
    programs = {}
    for name, (number, arguments) in calls.items():
        program = programs[f"/try/{name}"] = Launcher()
        program._machine = replace(program._machine, calls={**program._machine.calls, name: number})
        program.call(name, *arguments, failure=DENIED)
        program.call("exit_group", 0)
    return programs


ATTEMPT = "for f in /try/*; do $f; echo ${f#/try/} $?; done"


def verdicts(said: str) -> dict[str, str]:
    return {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in said.splitlines()}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")
def test_system_calls_that_reach_beyond_a_step_are_refused(kitchen: Kitchen) -> None:
    said = kitchen.says(ATTEMPT, on=kitchen.with_programs(attempts_at(CALLS)))
    assert verdicts(said) == dict.fromkeys(CALLS, str(DENIED))


def as_root(*args: str) -> Launcher:
    """A program that becomes root, if it may, and then another one."""
    program = Launcher()
    program.call("setresuid", 0, 0, 0, failure=DENIED)
    program.call("setresgid", 0, 0, 0, failure=DENIED)
    program.call("execve", args[0], strings(args), strings(["PATH=/bin"]))
    return program


TELL = "id -u; id -g; grep -e ^Cap -e NoNewPrivs -e Seccomp: /proc/self/status; touch /etc/mine"


def test_a_set_user_id_program_makes_an_ordinary_user_root_of_the_step_and_no_more(kitchen: Kitchen) -> None:
    """What `sudo` does, in the hands of the user of the step."""
    programs = kitchen.with_programs({"/up": as_root("/bin/sh", "-c", TELL)}, 0o4755)
    if kitchen.runtime.name == "bubblewrap":
        with pytest.raises(ExitError) as caught:
            kitchen.step("/up", "-", on=programs, user="baker")
        assert caught.value.exit_code == DENIED
        return
    by_user = kitchen.says("/up", "-", on=programs, user="baker")
    assert by_user.split()[:2] == ["0", "0"]
    assert by_user == kitchen.says(TELL)
    assert "NoNewPrivs:\t0" in by_user


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")
def test_who_becomes_root_in_a_step_reaches_no_further_than_its_root(kitchen: Kitchen) -> None:
    if kitchen.runtime.name == "bubblewrap":
        return  # nobody becomes root there
    programs = {**attempts_at(CALLS), "/up": as_root("/bin/sh", "-c", ATTEMPT)}
    said = kitchen.says("/up", "-", on=kitchen.with_programs(programs, 0o4755), user="baker")
    assert verdicts(said) == dict.fromkeys(CALLS, str(DENIED))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")
def test_no_process_of_the_machine_can_be_traced_read_or_signalled(kitchen: Kitchen) -> None:
    for pid in {os.getpid(), os.getppid()}:
        calls: dict[str, Call] = {
            "kill": (62, (pid, 0)),
            "pidfd_open": (434, (pid, 0)),
            "process_vm_readv": (310, (pid, Words((bytes(8), 8)), 1, Words((launcher.SCRATCH, 8)), 1, 0)),
            "prlimit64": (302, (pid, 7, 0, bytes(16))),
            "ptrace": (101, (16, pid, 0, 0)),
            "sched_setscheduler": (144, (pid, 0, bytes(4))),
        }
        said = kitchen.says(ATTEMPT, on=kitchen.with_programs(attempts_at(calls)))
        assert verdicts(said) == dict.fromkeys(calls, str(DENIED))


def test_nodes_that_a_step_makes_lead_nowhere_in_its_mounts_either(kitchen: Kitchen) -> None:
    option = {"mount_type": MountType.TMPFS, "tmpfs_opt": TmpfsOpt()}
    mounts = [
        Mount(input=-1, dest="/c", output=-1, mount_type=MountType.CACHE, cache_opt=CacheOpt("nodes")),
        Mount(input=-1, dest="/t", output=-1, **option),  # type: ignore[arg-type]
        Mount(input=1, dest="/rw", output=-1),
    ]
    for folder in ("/c", "/t", "/rw", "/dev", "/dev/shm", "/tmp"):
        command = f"mknod {folder}/zero c 1 5 && head -c 1 {folder}/zero"
        with pytest.raises(ExitError):
            kitchen.step(command, mounts=mounts, inputs=[kitchen.base])


@pytest.mark.skipif(
    tuple(map(int, platform.release().split("-")[0].split(".")[:2])) < (6, 14), reason="needs Linux 6.14"
)
def test_a_step_that_starts_processes_without_end_ends_alone(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "PROCESSES", 400)
    with pytest.raises(ExitError):
        kitchen.step("n=0; while test $n -lt 500; do sleep 1000 & n=$((n + 1)); done; echo all")
    assert b"fork" in kitchen.said
    assert b"all" not in kitchen.said


def test_signals_to_its_own_group_reach_nobody_who_watches_a_step(kitchen: Kitchen) -> None:
    with pytest.raises(ExitError) as caught:
        kitchen.step("trap '' TERM; kill -TERM 0; exit 3")
    assert caught.value.exit_code == 3


def test_nothing_of_the_machine_is_within_reach(kitchen: Kitchen, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("of the machine")
    ways = [f"/{tmp_path}", f"/proc/1/root{tmp_path}", f"/proc/1/cwd/../../..{tmp_path}", f"../../../../..{tmp_path}"]
    attempts = [*ATTEMPTS, *(f"ls {way}/outside" for way in ways), f"ln -s {tmp_path}/outside /x && cat /x"]
    program = "".join(f"({attempt}) >/dev/null 2>&1; echo {number} $?\n" for number, attempt in enumerate(attempts))
    done = verdicts(kitchen.says(program))
    assert len(done) == len(attempts)
    assert [attempts[int(number)] for number, code in done.items() if code == "0"] == []


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")
def test_sockets_with_abstract_names_are_those_of_the_network(kitchen: Kitchen) -> None:
    """They lie in no file system, so what a step may not reach of them it must have no network for, or another one."""
    name = f"\0bakery-tests-{os.getpid()}"
    address = (1).to_bytes(2, "little") + name.encode()
    program = Launcher()
    program._machine = replace(program._machine, calls={**program._machine.calls, "connect": 42})
    program.call("socket", 1, 1, 0, failure=DENIED + 1)
    program.call("connect", 3, address, len(address), failure=DENIED)
    program.call("exit_group", 0)
    programs = kitchen.with_programs({"/connect": program})
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(name)
        listening.listen()
        assert kitchen.says("/connect; echo $?", on=programs) == "0\n"
        alone = kitchen.says("/connect; echo $?", on=programs, op={"network": NetMode.NONE})
        assert alone == f"{DENIED}\n"


def test_another_steps_memory_is_not_ones_own(kitchen: Kitchen) -> None:
    async def main() -> bytes:
        async with trio.open_nursery() as nursery:
            keep = "echo correct horse > /dev/shm/kept; echo go; sleep 30"
            nursery.start_soon(lambda: kitchen.run(keep))
            while b"go" not in kitchen.said:
                await trio.sleep(0.01)
            await kitchen.run("ls /dev/shm /dev/mqueue; cat /dev/shm/* /proc/sysvipc/shm; true")
            nursery.cancel_scope.cancel()
        return kitchen.said

    said = trio.run(main)
    assert b"kept" not in said
    assert b"horse" not in said


def test_no_file_of_this_process_is_open_in_a_step(kitchen: Kitchen) -> None:
    said = kitchen.says("for fd in /proc/1/fd/*; do readlink $fd; done; true")
    assert [line for line in said.splitlines() if not line.startswith(("pipe:", "/dev/null", "/proc/1/fd"))] == []


def test_no_other_process_is_seen_or_reached(kitchen: Kitchen) -> None:
    assert "pytest" not in kitchen.says("cat /proc/[0-9]*/cmdline")
    assert kitchen.says("kill -9 -1 2>/dev/null; echo alive") == "alive\n"


def test_one_steps_secret_is_nowhere_for_another_step(kitchen: Kitchen, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("correct horse battery")
    option = SecretOpt("s", 0, 0, 0o400, False)
    mount = Mount(input=-1, dest="/token", mount_type=MountType.SECRET, output=-1, secret_opt=option)
    given = [Secret("s", path=tmp_path / "secret")]
    look = "cat /proc/*/environ /proc/*/mounts /proc/*/cmdline; ls -R /run /tmp; true"

    async def main() -> bytes:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: kitchen.run("echo go; sleep 30", mounts=[mount], secrets=given))
            while b"go" not in kitchen.said:
                await trio.sleep(0.01)
            await kitchen.run(look)
            nursery.cancel_scope.cancel()
        return kitchen.said

    said = trio.run(main)
    assert b"horse" not in said
    assert b"/etc/hosts" in said  # it did look
    assert b" /token " not in said


def test_a_link_in_a_cache_leads_no_mount_out_of_it(kitchen: Kitchen, tmp_path: Path) -> None:
    cache = Mount(input=-1, dest="/c", output=-1, mount_type=MountType.CACHE, cache_opt=CacheOpt("c"))
    target = tmp_path / "target"
    target.mkdir()
    kitchen.step(f"ln -s /oldroot{target} /c/old; ln -s ../../../..{target} /c/up; ln -s /etc /c/etc", mounts=[cache])
    for name in ("old", "up", "etc"):
        options = {"mount_type": MountType.TMPFS, "tmpfs_opt": TmpfsOpt()}
        inner = Mount(input=-1, dest=f"/c/{name}/new", output=-1, **options)  # type: ignore[arg-type]
        with pytest.raises(StepError, match="is a symbolic link in the mount at /c"):
            kitchen.step("true", mounts=[cache, inner])
    assert list(target.iterdir()) == []


def test_processes_and_memory_come_to_an_end_in_the_step_first(kitchen: Kitchen) -> None:
    assert kitchen.says("cat /proc/self/oom_score_adj") == "500\n"
    limit = kitchen.says("cat /proc/sys/kernel/pid_max").strip()
    if tuple(map(int, platform.release().split(".")[:2])) >= (6, 14):
        assert limit == "16384"
    else:
        assert limit == Path("/proc/sys/kernel/pid_max").read_text().strip()


def test_a_daemon_that_ignores_everything_goes_with_its_step(kitchen: Kitchen) -> None:
    mark = f"8{int.from_bytes(os.urandom(3), 'big')}"
    kitchen.step(f"(trap '' TERM HUP INT; setsid sleep {mark} & ) ; true")
    deadline = time.monotonic() + PATIENCE
    while any(mark.encode() in _command(path) for path in Path("/proc").glob("[0-9]*")):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.05)


def test_an_emulated_step_may_do_no_more_than_others(kitchen: Kitchen) -> None:
    if "arm64" not in {*emulation.emulators(), *emulation.registered()}:
        pytest.skip("needs qemu-user-static")
    kitchen.platform = Platform("arm64", "linux")
    attempts = ("mount -t tmpfs none /tmp", "mknod /m c 1 1 && head -c 1 /m", "echo 1 > /proc/sys/kernel/panic")
    said = kitchen.says("; ".join(f"({attempt}) 2>/dev/null; echo $?" for attempt in attempts))
    assert "0" not in said.split()
    assert "CapEff:\t00000000a80425fb" in kitchen.says("grep CapEff /proc/self/status")


def _command(path: Path) -> bytes:
    try:
        return (path / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    "link", ["/oldroot{target}", "../../../../../../../../../../../../../../..{target}", "{target}"]
)
def test_a_link_laid_at_the_last_moment_leads_no_mount_out_of_a_cache(
    kitchen: Kitchen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    """As when another step swaps a folder of a shared cache for a link right after the places were looked at."""
    cache = Mount(input=-1, dest="/c", output=-1, mount_type=MountType.CACHE, cache_opt=CacheOpt("c"))
    other = Mount(input=-1, dest="/c/old/new", output=-1, mount_type=MountType.CACHE, cache_opt=CacheOpt("d"))
    target = tmp_path / "target"
    target.mkdir()
    kitchen.step(f"ln -s {link.format(target=target)} /c/old", mounts=[cache])
    monkeypatch.setattr(exec_mounts, "check_nested", lambda shown: None)
    with suppress(StepError, UnsupportedError):
        kitchen.step("echo x > /c/old/new/file", mounts=[cache, other])
    assert list(target.iterdir()) == []
