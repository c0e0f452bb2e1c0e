"""Steps with a network of their own: from there the world is reached, and this machine's own services are not.

The machine and the world are two network namespaces with a cable between them, so no test depends on a real network.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.ordinary_user import UID, ordinary_user
from support.patience import PATIENCE
from support.program import Program, Run

MISSING = [name for name in ("pasta", "slirp4netns", "ip", "nsenter") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make network namespaces"),
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
]

WORLD, MACHINE, PORT = "198.51.100.1", "198.51.100.2", "4000"
SERVER = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(sys.argv[3].encode() + b"\\n")
    connection.close()
"""
# Its input stays open for a while: pasta may lose a connection that is half closed before it is answered.
ASK = f'ask() {{ echo "$1: $(sleep 3 | timeout 20 nc $1 {PORT} 2>/dev/null)"; }}'
DOCKERFILE = f"""FROM base
RUN {ASK}; ask {WORLD}; ask 127.0.0.1; echo devices: $(ls /sys/class/net | wc -l); echo root: $(id -u)
RUN --network=none {ASK}; ask {WORLD}
"""
BAKE = 'target "default" { contexts = { base = "oci-layout://base" } }\n'


@dataclass
class Machine:
    """A machine that has a service on its loopback device, and a cable to the world, which has one, too."""

    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    near: int = 0

    def command(self, *args: str, without: tuple[str, ...] = ()) -> list[str]:
        """What to start to have it run there, on a machine `without` some programs."""
        hide = "".join(f"mount --bind /dev/null {shutil.which(name)}; " for name in without)
        return [
            "nsenter",
            f"--net=/proc/{self.near}/ns/net",
            "unshare",
            "-m",
            "sh",
            "-c",
            f'{hide}exec "$@"',
            "-",
            *args,
        ]

    def start(self, *args: str) -> int:
        self.processes.append(subprocess.Popen(args, stdout=subprocess.PIPE))
        said = self.processes[-1].stdout
        assert said is not None
        assert said.readline() == b"ready\n"
        return self.processes[-1].pid


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine()
    hold = ("unshare", "--net", "sh", "-c", "ip link set lo up; echo ready; exec sleep 1000")
    try:
        machine.near, far = machine.start(*hold), machine.start(*hold)
        cable = f"ip link add near netns {machine.near} type veth peer name far netns {far}"
        subprocess.run(cable.split(), check=True)
        for pid, device, address in ((machine.near, "near", MACHINE), (far, "far", WORLD)):
            configure = f"ip addr add {address}/24 dev {device} && ip link set {device} up"
            subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "sh", "-c", configure], check=True)
        route = f"ip route add default via {WORLD}"
        subprocess.run(["nsenter", f"--net=/proc/{machine.near}/ns/net", *route.split()], check=True)
        for pid, address, word in ((machine.near, "127.0.0.1", "the machine"), (far, WORLD, "the world")):
            machine.start("nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", SERVER, address, PORT, word)
        yield machine
    finally:
        for process in machine.processes:
            process.kill()
            process.wait()


def prepare(folder: Path, dockerfile: str = DOCKERFILE) -> None:
    (folder / "Dockerfile").write_text(dockerfile)
    (folder / "docker-bake.hcl").write_text(BAKE)
    (folder / "bakery.toml").write_text('step-network = "private"\n')


def build(machine: Machine, program: Program, *options: str, without: tuple[str, ...] = ()) -> Run:
    command = [sys.executable, "-m", "bakery.cli.main", "build", "--progress=plain", *options]
    environment = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", "") or str(Path(__file__).parents[2])}
    done = subprocess.run(
        machine.command(*command, without=without),
        cwd=program.folder,
        env={**environment, "BAKERY_ROOT": str(program.root), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def answers(said: str) -> list[str]:
    """What the steps said, without the steps' numbers and times."""
    marks = (f"{WORLD}:", "127.0.0.1:", "devices:", "root:")
    lines = (line.partition(" ")[2].partition(" ")[2] for line in said.splitlines() if line.startswith("#"))
    return sorted(line for line in lines if line.startswith(marks))


PRIVATE = ["127.0.0.1: ", f"{WORLD}: ", f"{WORLD}: the world", "devices: 2", "root: 0"]


@pytest.mark.parametrize("runtime", ["native", "bubblewrap", "crun", "runc"])
def test_the_world_is_there_and_the_machine_is_not(machine: Machine, program: Program, runtime: str) -> None:
    prepare(program.folder)
    done = build(machine, program, f"--runtime={runtime}")
    assert done.code == 0, done.err
    assert answers(done.err) == PRIVATE
    shared = build(machine, program, "--step-network=shared", "--no-cache", f"--runtime={runtime}")
    assert "127.0.0.1: the machine" in answers(shared.err), "that is what it is kept from"


def test_the_other_connector_does_as_well(machine: Machine, program: Program) -> None:
    prepare(program.folder)
    done = build(machine, program, without=("pasta",))
    assert done.code == 0, done.err
    assert answers(done.err) == PRIVATE


def test_without_a_connector_it_says_what_to_install(machine: Machine, program: Program) -> None:
    prepare(program.folder)
    done = build(machine, program, without=("pasta", "slirp4netns"))
    assert done.code == 1
    assert "neither pasta nor slirp4netns is installed" in done.err
    assert "install the package passt or slirp4netns" in done.err


def test_a_machine_without_a_way_out_says_what_the_connector_says(program: Program) -> None:
    prepare(program.folder)
    alone = Machine()
    try:
        alone.near = alone.start("unshare", "--net", "sh", "-c", "echo ready; exec sleep 1000")
        done = build(alone, program)
    finally:
        for process in alone.processes:
            process.kill()
            process.wait()
    assert done.code == 1
    assert "pasta cannot connect the step's network: " in done.err


@pytest.mark.parametrize("connector", ["pasta", "slirp4netns"])
def test_an_ordinary_user_has_it_as_well(machine: Machine, busybox: Path, connector: str) -> None:
    other = ({"pasta", "slirp4netns"} - {connector}).pop()
    with ordinary_user(sub_ids=True) as user:
        shutil.copytree(busybox, user.folder / "base")
        prepare(user.folder)
        for folder, _, files in os.walk(user.folder):
            for name in (folder, *(os.path.join(folder, file) for file in files)):
                os.chown(name, UID, UID)
        command = user.command(user.python, "-m", "bakery.cli.main", "build", "--progress=plain")
        done = subprocess.run(
            machine.command(*command, without=(other,)),
            cwd=user.folder,
            env=user.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 0, done.stderr
    assert answers(done.stderr) == PRIVATE


def test_an_ordinary_user_listens_on_ports_that_are_roots_elsewhere(machine: Machine, busybox: Path) -> None:
    with ordinary_user(sub_ids=True) as user:
        shutil.copytree(busybox, user.folder / "base")
        prepare(user.folder, "FROM base\nRUN timeout 1 nc -l -p 80; test $? != 1\n")
        for folder, _, files in os.walk(user.folder):
            for name in (folder, *(os.path.join(folder, file) for file in files)):
                os.chown(name, UID, UID)
        bakery = (user.python, "-m", "bakery.cli.main", "build", "--progress=plain")

        def build_as_user(*options: str) -> subprocess.CompletedProcess[str]:
            command = machine.command(*user.command(*bakery, *options))
            environment = user.environment()
            return subprocess.run(
                command, cwd=user.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
            )

        shared = build_as_user("--step-network=shared")
        assert shared.returncode == 1
        assert "bind: Permission denied" in shared.stderr
        assert "--step-network=private" in shared.stderr
        private = build_as_user()
        assert private.returncode == 0, private.stderr


@pytest.mark.parametrize("without", [(), ("pasta",)])
def test_it_ends_with_a_bakery_that_is_killed(machine: Machine, program: Program, without: tuple[str, ...]) -> None:
    prepare(program.folder, "FROM base\nRUN echo begun; sleep 1000\n")
    command = machine.command(sys.executable, "-m", "bakery.cli.main", "build", "--progress=plain", without=without)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "BAKERY_ROOT": str(program.root)}
    process = subprocess.Popen(command, cwd=program.folder, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any("begun" in line and "RUN" not in line for line in process.stderr)
    assert len(connectors(program.root)) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + PATIENCE
    while connectors(program.root):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.05)


def connectors(root: Path) -> list[int]:
    """The processes that connect networks for a state folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        is_one = os.path.basename(words[0]) in (b"pasta", b"slirp4netns", b"pasta.avx2")
        if is_one and any(word.startswith(os.fsencode(root)) for word in words):
            found.append(int(path.parent.name))
    return found
