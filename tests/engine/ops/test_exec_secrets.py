"""Secrets and agents of steps that are really run: seen where they were asked for, and nowhere else."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from support.kitchen import Kitchen, present, processes

from engine.errors import ExitError, StepError
from engine.llb.ops import Mount, MountType, SecretEnv, SecretOpt, SSHOpt
from engine.request import Secret, SSHAgent
from engine.sandbox.ssh_agent import forwarded

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount"),
    pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs the package busybox-static"),
]


def secret(
    dest: str, id: str = "token", uid: int = 0, gid: int = 0, mode: int = 0o400, optional: bool = False
) -> Mount:
    return Mount(input=-1, dest=dest, mount_type=MountType.SECRET, secret_opt=SecretOpt(id, uid, gid, mode, optional))


VALUE = "correct horse battery"


@pytest.fixture
def token(tmp_path: Path) -> Secret:
    (tmp_path / "token").write_text(VALUE)
    return Secret("token", path=tmp_path / "token")


def test_a_secret_is_a_file_in_memory(kitchen: Kitchen, token: Secret) -> None:
    mounts = [secret("/run/secrets/token"), secret("/etc/tok", uid=33, gid=44, mode=0o440)]
    snapshot = kitchen.step(
        "wc -c < /run/secrets/token; stat -c '%a %u %g' /run/secrets/token /etc/tok; grep ' /etc/tok ' /proc/mounts",
        mounts=mounts,
        secrets=[token],
    )
    *lines, mount = kitchen.said.decode().splitlines()
    assert lines == ["21", "400 0 0", "440 33 44"]
    assert mount.split()[2] == "tmpfs"
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(mount.split()[3].split(","))
    assert kitchen.left(snapshot) == []
    assert not [
        path for path in kitchen.state.root.rglob("*") if path.is_file() and VALUE.encode() in path.read_bytes()
    ]


def test_a_secret_is_masked_in_the_log_and_its_error(kitchen: Kitchen, token: Secret) -> None:
    with pytest.raises(ExitError) as caught:
        kitchen.step(
            "printf 'a '; cat /s; head -c 7 /s; sleep 0.1; echo ' b'; exit 1", mounts=[secret("/s")], secrets=[token]
        )
    assert kitchen.said == caught.value.log == b"a ***correct b\n"
    assert caught.value.log_path is not None
    assert VALUE.encode() not in caught.value.log_path.read_bytes()


def test_a_secret_may_be_a_variable(kitchen: Kitchen, token: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    op = {"secretenv": (SecretEnv("token", "TOKEN"), SecretEnv("absent", "ABSENT", optional=True))}
    assert kitchen.says("echo ${#TOKEN} [${ABSENT-unset}] $TOKEN", op=op, secrets=[token]) == "21 [] ***\n"
    monkeypatch.setenv("FROM_HERE", "12345678")
    given = Secret("token", env="FROM_HERE")
    assert kitchen.says("echo ${#TOKEN}", op=op, secrets=[given]) == "8\n"


def test_an_absent_secret(kitchen: Kitchen) -> None:
    kitchen.step("test ! -e /run/secrets/absent", mounts=[secret("/run/secrets/absent", "absent", optional=True)])
    with pytest.raises(StepError, match="secret missing: not found") as caught:
        kitchen.step("true", mounts=[secret("/s", "missing")])
    assert "--secret id=missing" in caught.value.hint
    with pytest.raises(StepError, match="secret missing: not found"):
        kitchen.step("true", op={"secretenv": (SecretEnv("missing", "M"),)})


def test_a_secret_whose_variable_is_not_set_is_absent_unless_it_is_required(kitchen: Kitchen) -> None:
    unset = Secret("token", env="NO_SUCH_VARIABLE")
    kitchen.step("test ! -e /s", mounts=[secret("/s", optional=True)], secrets=[unset])
    op = {"secretenv": (SecretEnv("token", "TOKEN", optional=True),)}
    assert kitchen.says("echo [$TOKEN]", op=op, secrets=[unset]) == "[]\n"
    with pytest.raises(StepError, match="variable NO_SUCH_VARIABLE is not set"):
        kitchen.step("true", mounts=[secret("/s")], secrets=[unset])


def ssh(dest: str, id: str = "", uid: int = 0, gid: int = 0, mode: int = 0o600, optional: bool = True) -> Mount:
    return Mount(input=-1, dest=dest, mount_type=MountType.SSH, ssh_opt=SSHOpt(id, uid, gid, mode, optional))


@pytest.fixture
def echo_agent(tmp_path: Path) -> Iterator[Path]:
    """A socket that answers what it is sent, in capitals."""
    path = tmp_path / "agent"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.sendall(connection.recv(100).upper())
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def test_an_agent_is_forwarded_as_the_socket_that_was_asked_for(
    kitchen: Kitchen, echo_agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(echo_agent))
    mounts = [ssh("/run/buildkit/ssh_agent.0"), ssh("/run/work.sock", "work", 5, 6, 0o666)]
    agents = [SSHAgent("default"), SSHAgent("work", (echo_agent,))]
    command = "stat -c '%A %u %g' /run/buildkit/ssh_agent.0 /run/work.sock"
    snapshot = kitchen.step(command, mounts=mounts, agents=agents)
    assert kitchen.said == b"srw------- 0 0\nsrw-rw-rw- 5 6\n"
    assert kitchen.left(snapshot) == []


def test_what_is_said_to_a_forwarded_agent_reaches_it(tmp_path: Path, echo_agent: Path) -> None:
    deep = tmp_path / ("deep" * 30)  # longer than the address of a socket may be
    deep.mkdir()

    async def ask() -> bytes:
        async with forwarded(echo_agent, deep / "s", 0, 0, 0o600):
            os.chdir(deep)
            async with await trio.open_unix_socket("s") as stream:
                await stream.send_all(b"hello")
                return bytes(await stream.receive_some(100))

    here = Path.cwd()
    try:
        assert trio.run(ask) == b"HELLO"
    finally:
        os.chdir(here)


def test_an_absent_agent(kitchen: Kitchen) -> None:
    kitchen.step("test ! -e /run/a", mounts=[ssh("/run/a")])
    with pytest.raises(StepError, match='no SSH key "default" forwarded from the client'):
        kitchen.step("true", mounts=[ssh("/run/a", optional=False)])


@pytest.mark.skipif(not present("ssh-agent"), reason="ssh-agent is missing")
def test_key_files_are_served_by_an_agent_of_our_own(kitchen: Kitchen, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    kitchen.step("test -S /run/a", mounts=[ssh("/run/a")], agents=[SSHAgent("default", (key,))])
    with pytest.raises(StepError, match="cannot load the SSH key"):
        kitchen.step("test -S /run/a", mounts=[ssh("/run/a")], agents=[SSHAgent("default", (tmp_path / "none",))])
    assert not [line for line in processes() if "ssh-agent" in line and str(tmp_path) in line]
