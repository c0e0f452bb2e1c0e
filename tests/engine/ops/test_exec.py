"""Steps that are really run: what they see, what they leave in their layer, and how they end."""

from __future__ import annotations

import os
import socket
import stat
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from support.kitchen import PASSWD, RUNTIMES, Kitchen, present

from engine.errors import EngineError, EntitlementError, ExitError, StepError, UnsupportedError
from engine.llb.definition import Vertex
from engine.llb.ops import (
    CacheOpt,
    CacheSharing,
    ExecOp,
    HostIP,
    LinuxResources,
    Meta,
    Mount,
    MountType,
    NetMode,
    Platform,
    ProxyEnv,
    SecretEnv,
    SecretOpt,
    SecurityMode,
    SSHOpt,
    TmpfsOpt,
    Ulimit,
)
from engine.ops.exec import ExecOperation
from engine.request import Secret, SSHAgent
from engine.results import LocalTree, Snapshot
from engine.sandbox import emulation
from engine.sandbox.launcher import Launcher, strings
from engine.sandbox.ssh_agent import forwarded
from engine.snapshots.user_namespace import Ids, ids

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount"),
    pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs the package busybox-static"),
]

real_root = pytest.mark.skipif(ids() is not Ids.ALL, reason="only the machine's own root makes device nodes")


@pytest.fixture(params=RUNTIMES)
def kitchen(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Kitchen]:
    kitchen = Kitchen(tmp_path, request.param)
    yield kitchen
    mounts = Path("/proc/self/mounts").read_text() + Path("/proc/1/mounts").read_text()
    assert str(tmp_path) not in mounts
    kitchen.store.close()
    kitchen.state.close()


def test_what_a_step_writes_is_its_layer(kitchen: Kitchen) -> None:
    snapshot = kitchen.step("echo hi > /hi; rm /etc/group")
    assert snapshot.layers[:-1] == kitchen.base.layers
    assert kitchen.left(snapshot) == ["/etc", "/etc/group", "/hi"]
    assert kitchen.read(snapshot, "/hi") == "hi\n"
    assert kitchen.store.tree(snapshot).lstat("/etc/group") is None


def test_a_step_that_does_nothing_leaves_the_three_folders_once(kitchen: Kitchen) -> None:
    """As BuildKit does, where the image has none to mount /dev, /proc and /sys on."""
    first = kitchen.step("true")
    assert sorted(os.listdir(kitchen.store.layer_path(first.layers[-1]))) == ["dev", "proc", "sys"]
    second = kitchen.step("true", on=first)
    assert os.listdir(kitchen.store.layer_path(second.layers[-1])) == []


def test_a_step_sees_itself_as_process_one_in_buildkits_surroundings(kitchen: Kitchen) -> None:
    assert kitchen.says("echo $$ $(hostname) $(pwd) $(umask)") == "1 buildkitsandbox / 0022\n"
    assert kitchen.says("env | sort", env=["PATH=/bin", "LANG=C"]).splitlines() == [
        "HOME=/root",
        "LANG=C",
        "PATH=/bin",
        "PWD=/",
        "SHLVL=1",
    ]


def test_capabilities_are_dockers(kitchen: Kitchen) -> None:
    lines = kitchen.says("grep -e ^Cap -e ^Seccomp: /proc/self/status").split()
    assert dict(zip(lines[::2], lines[1::2], strict=True)) == {
        "CapInh:": "0000000000000000",
        "CapPrm:": "00000000a80425fb",
        "CapEff:": "00000000a80425fb",
        "CapBnd:": "00000000a80425fb",
        "CapAmb:": "0000000000000000",
        "Seccomp:": "2",
    }


def test_devices_and_mounts_are_those_of_buildkit(kitchen: Kitchen) -> None:
    devices = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
    assert [name for name in kitchen.says("ls /dev").split() if name != "core"] == devices.split()
    mounts = kitchen.says(
        "awk '$2 ~ \"^/(proc|sys|dev|dev/pts|dev/shm|dev/mqueue)$\" {print $2, $3}' /proc/mounts | sort -u"
    )
    assert mounts.splitlines() == [
        "/dev tmpfs",
        "/dev/mqueue mqueue",
        "/dev/pts devpts",
        "/dev/shm tmpfs",
        "/proc proc",
        "/sys sysfs",
    ]


def test_kernel_settings_are_hidden_or_readonly(kitchen: Kitchen) -> None:
    kitchen.step(
        'test ! -s /proc/kcore; test ! -s /proc/keys; test ! -s /proc/timer_list; test -z "$(ls /sys/firmware)"'
    )
    for path in ("/proc/sys/kernel/domainname", "/proc/sysrq-trigger", "/sys/kernel/x", "/proc/irq/x"):
        kitchen.step(f"! (echo x > {path}) 2>/dev/null")


def test_nothing_of_this_machine_is_visible(kitchen: Kitchen) -> None:
    assert kitchen.says("ls -A /").split() == ["bin", "dev", "etc", "proc", "root", "sys", "tmp"]
    assert len(kitchen.says("ps -o pid= | wc -l; ls -d /proc/[0-9]* | wc -l").split()) == 2
    assert int(kitchen.says("ls -d /proc/[0-9]* | wc -l")) <= 4
    open_files = kitchen.says("ls /proc/1/fd").split()
    assert set(open_files) <= {"0", "1", "2", "3"}


def test_a_step_cannot_do_what_it_could_escape_with(kitchen: Kitchen) -> None:
    for command in (
        "mount -t tmpfs none /tmp",
        "umount /proc",
        "unshare -m true",
        "unshare -U true",
        "mknod /disk b 254 0 && cat /disk",
        "mknod /dev/disk b 254 0 && cat /dev/disk",
        "hostname other",
        "chroot /proc/1/root/../../.. /bin/ls /work",
        "kill -9 -- -1; ls /root/../../../work",
    ):
        with pytest.raises(ExitError):
            kitchen.step(command)


@real_root
def test_device_nodes_can_be_made_and_lead_nowhere(kitchen: Kitchen) -> None:
    entry = kitchen.store.tree(kitchen.step("mknod /zero c 1 5")).lstat("/zero")
    assert entry is not None
    assert (stat.S_ISCHR(entry.mode), entry.rdev) == (True, os.makedev(1, 5))


@pytest.mark.parametrize(
    ("user", "seen"),
    [
        ("", "0 0 0 /root"),
        ("baker", "500 501 501 77 /home/baker"),
        ("baker:oven", "500 77 77 /home/baker"),
        ("500", "500 501 501 77 /home/baker"),
        ("1234", "1234 0 0 /"),
        ("1234:4321", "1234 4321 4321 /"),
        (":77", "0 77 77 /root"),
    ],
)
def test_users_are_looked_up_in_the_steps_own_files(kitchen: Kitchen, user: str, seen: str) -> None:
    assert kitchen.says("echo $(id -u) $(id -g) $(id -G) $HOME", user=user).split() == seen.split()


def test_an_ordinary_user_has_no_capabilities(kitchen: Kitchen) -> None:
    assert "CapEff:\t0000000000000000" in kitchen.says("grep CapEff /proc/self/status", user="baker")
    with pytest.raises(ExitError):
        kitchen.step("touch /etc/x", user="baker")


def test_an_unknown_user_is_an_error(kitchen: Kitchen) -> None:
    with pytest.raises(StepError, match=r'process "/bin/sh -c true" did not .*: unable to find user ghost: '):
        kitchen.step("true", user="ghost")


def test_the_working_folder_is_made_for_the_user(kitchen: Kitchen) -> None:
    snapshot = kitchen.step("pwd > here", cwd="/home/baker/bread", user="baker")
    entry = kitchen.store.tree(snapshot).lstat("/home/baker")
    assert entry is not None
    assert (entry.uid, entry.gid, stat.S_IMODE(entry.mode)) == (500, 501, 0o755)
    assert kitchen.read(snapshot, "/home/baker/bread/here") == "/home/baker/bread\n"


def test_a_working_folder_behind_a_link_stays_in_the_root(kitchen: Kitchen) -> None:
    linked = kitchen.step("ln -s /etc/../../../tmp /away")
    snapshot = kitchen.step("echo > here", on=linked, cwd="/away/new")
    assert kitchen.left(snapshot) == ["/tmp", "/tmp/new", "/tmp/new/here"]
    assert not Path("/tmp/new/here").exists()


def test_exit_codes_and_signals_are_reported(kitchen: Kitchen) -> None:
    for command, code in (
        ("exit 42", 42),
        ("sh -c 'kill -9 $$'; exit $?", 137),
        ("/bin/sh -c 'kill -15 1'; exit 3", 3),
    ):
        with pytest.raises(ExitError) as caught:
            kitchen.step(command)
        assert caught.value.exit_code == code
    assert not [path for path in kitchen.state.layers.iterdir() if path.name not in kitchen.base.layers]


def test_an_error_quotes_the_command_and_keeps_the_end_of_the_log(kitchen: Kitchen) -> None:
    with pytest.raises(ExitError) as caught:
        kitchen.step("set -e\necho line >&2\nls /not-there\n")
    error = caught.value
    assert error.message == (
        'process "/bin/sh -c set -e\\necho line >&2\\nls /not-there\\n" did not complete successfully: exit code: 1'
    )
    assert error.log == b"line\nls: /not-there: No such file or directory\n"
    assert error.log_path is not None
    assert error.log_path.read_bytes() == error.log


def test_what_a_step_complains_of_stays_behind_what_led_to_it(kitchen: Kitchen) -> None:
    if kitchen.runtime.name == "runc":
        pytest.skip("runc copies what steps say out of pipes of its own, in any order")
    for _ in range(8):
        assert kitchen.says("cat /etc/passwd; echo broken >&2").splitlines()[1:] == [*PASSWD.splitlines()[1:], "broken"]


def test_a_program_that_is_not_there(kitchen: Kitchen) -> None:
    with pytest.raises(ExitError) as caught:
        kitchen.step("/no/such/program", "arg")
    assert caught.value.exit_code == 1
    assert b"/no/such/program" in caught.value.log


def test_other_exit_codes_may_be_valid(kitchen: Kitchen) -> None:
    kitchen.step("exit 3", valid_exit_codes=(0, 3))
    with pytest.raises(ExitError):
        kitchen.step("exit 0", valid_exit_codes=(3,))


def test_hosts_and_resolver_are_seen_and_leave_no_trace(kitchen: Kitchen) -> None:
    extra = (HostIP("cellar", "10.0.0.7"), HostIP("attic", "fd00::7"))
    kitchen.step(
        "cat /etc/hosts; test -s /etc/resolv.conf; ! touch /etc/hosts 2>/dev/null", extra_hosts=extra, hostname="pantry"
    )
    assert kitchen.said.decode() == (
        "127.0.0.1\tlocalhost pantry\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.7\tcellar\nfd00::7\tattic\n"
    )
    assert kitchen.left(kitchen.step("true")) == []


def test_hosts_that_were_there_stay_as_they_were(kitchen: Kitchen) -> None:
    with kitchen.store.new_layer(kitchen.base) as layer:
        (layer.path / "etc").mkdir()
        (layer.path / "etc/hosts").write_text("mine\n")
        (layer.path / "etc/resolv.conf").symlink_to("../run/resolver/stub.conf")
        base = layer.commit("hosts")
    snapshot = kitchen.step("grep -q buildkitsandbox /etc/hosts; test -s /etc/resolv.conf", on=base)
    assert kitchen.read(snapshot, "/etc/hosts") == "mine\n"
    assert kitchen.left(snapshot) == []


def test_network_none_has_only_the_loopback(kitchen: Kitchen) -> None:
    assert kitchen.says("ls /sys/class/net; ip link | grep -c UP", op={"network": NetMode.NONE}).split() == ["lo", "1"]


def test_limits_are_set(kitchen: Kitchen) -> None:
    limits = (Ulimit("nofile", 512, 1024),)
    assert kitchen.says("ulimit -n; ulimit -Hn", ulimit=limits).split() == ["512", "1024"]
    with pytest.raises(StepError, match="no ulimit called nofiles"):
        kitchen.step("true", ulimit=(Ulimit("nofiles", 1, 1),))


def test_entitlements_are_asked_for(kitchen: Kitchen) -> None:
    for op, name in (
        ({"network": NetMode.HOST}, "network.host"),
        ({"security": SecurityMode.INSECURE}, "security.insecure"),
    ):
        with pytest.raises(EntitlementError, match=f"{name} is not allowed"):
            kitchen.step("true", op=op)
        kitchen.step("true", op=op, allowed=[name])


@real_root
def test_an_insecure_step_may_do_everything(kitchen: Kitchen) -> None:
    kitchen.step(
        "mount -t tmpfs none /tmp && mknod /null c 1 3 && cat /null && echo x > /proc/sys/kernel/hostname",
        op={"security": SecurityMode.INSECURE},
        allowed=["security.insecure"],
    )


def test_proxies_are_seen_in_both_forms(kitchen: Kitchen) -> None:
    proxy = ProxyEnv(http_proxy="http://p:1")
    assert kitchen.says("echo $http_proxy $HTTP_PROXY", proxy_env=proxy) == "http://p:1 http://p:1\n"


# ---------------------------------------------------------------- mounts


def bind(dest: str, selector: str = "", *, readonly: bool = True, output: int = -1, input: int = 1) -> Mount:
    return Mount(input=input, selector=selector, dest=dest, output=output, readonly=readonly)


def test_a_readonly_bind_shows_a_part_of_another_result(kitchen: Kitchen) -> None:
    made = kitchen.step("mkdir -p /out/sub; echo made > /out/sub/file; echo top > /top")
    mounts = [bind("/m", "/out"), bind("/on/the/way/file", "/top")]
    snapshot = kitchen.step("cat /m/sub/file /on/the/way/file; ! touch /m/x 2>/dev/null", mounts=mounts, inputs=[made])
    assert kitchen.said == b"made\ntop\n"
    assert kitchen.left(snapshot) == []


def test_a_writable_bind_without_output_forgets(kitchen: Kitchen) -> None:
    made = kitchen.step("mkdir /out; echo old > /out/file")
    snapshot = kitchen.step(
        "echo new > /m/file; cat /m/file", mounts=[bind("/m", "/out", readonly=False)], inputs=[made]
    )
    assert kitchen.said == b"new\n"
    assert kitchen.left(snapshot) == []
    assert kitchen.read(made, "/out/file") == "old\n"


def test_a_writable_bind_with_output_is_a_second_result(kitchen: Kitchen) -> None:
    made = kitchen.step("echo old > /file")
    mount = bind("/m", readonly=False, output=1)
    first, second = trio.run(lambda: kitchen.run("echo new > /m/file", mounts=[mount], inputs=[made]))
    assert isinstance(first, Snapshot)
    assert isinstance(second, Snapshot)
    assert kitchen.left(first) == []
    assert second.layers[:-1] == made.layers
    assert kitchen.read(second, "/file") == "new\n"


def test_a_scratch_mount_with_output_begins_empty(kitchen: Kitchen) -> None:
    mount = bind("/m", readonly=False, output=1, input=-1)
    _, second = trio.run(lambda: kitchen.run("ls -A /m; echo x > /m/x", mounts=[mount]))
    assert kitchen.said == b""
    assert isinstance(second, Snapshot)
    assert kitchen.left(second) == ["/x"]


def test_a_folder_of_this_machine_is_shown_filtered_and_owned_by_root(kitchen: Kitchen, tmp_path: Path) -> None:
    context = tmp_path / "context"
    (context / "data").mkdir(parents=True)
    (context / "data/a").write_text("a\n")
    (context / "data/ignored").write_text("no\n")
    os.chown(context / "data/a", 500, 500)
    local = LocalTree(context, exclude=("**/ignored",))
    mounts = [bind("/ctx"), bind("/rw", "/data", readonly=False), bind("/one", "/data/a")]
    kitchen.step(
        "ls -A /ctx/data; stat -c %u /ctx/data/a; echo x > /rw/a; cat /rw/a /one", mounts=mounts, inputs=[local]
    )
    assert kitchen.said == b"a\n0\nx\na\n"
    assert (context / "data/a").read_text() == "a\n"


def test_a_source_that_is_not_there_is_an_error(kitchen: Kitchen) -> None:
    with pytest.raises(StepError, match='"/no/such": not found'):
        kitchen.step("true", mounts=[bind("/m", "/no/such")], inputs=[kitchen.base])


def test_a_link_as_source_or_place_stays_in_its_tree(kitchen: Kitchen) -> None:
    made = kitchen.step("mkdir /in; echo inside > /in/shadow; ln -s ../../../../in /etc/out; ln -s / /up")
    kitchen.step("cat /m/shadow", mounts=[bind("/m", "/etc/out")], inputs=[made])
    assert kitchen.said == b"inside\n"
    snapshot = kitchen.step(
        "cat /tmp/place/shadow",
        on=kitchen.step("ln -s ../../../../tmp /l"),
        mounts=[bind("/l/place", "/in")],
        inputs=[made],
    )
    assert kitchen.said == b"inside\n"
    assert kitchen.left(snapshot) == []


def test_mounts_may_lie_in_each_other_and_in_dev(kitchen: Kitchen) -> None:
    made = kitchen.step("mkdir -p /out/sub; echo made > /out/file")
    tmpfs = Mount(input=-1, dest="/m/sub", output=-1, mount_type=MountType.TMPFS, tmpfs_opt=TmpfsOpt())
    snapshot = kitchen.step(
        "echo x > /m/sub/x; cat /m/file /dev/pipes/EOF",
        mounts=[tmpfs, bind("/m", "/out"), bind("/dev/pipes/EOF", "/out/file")],
        inputs=[made],
    )
    assert kitchen.said == b"made\nmade\n"
    assert kitchen.left(snapshot) == []


def test_a_mount_in_one_whose_way_leads_over_a_link_goes_where_that_one_goes(kitchen: Kitchen) -> None:
    linked = kitchen.step("mkdir -p /a/b /out; ln -s /a /link; echo made > /out/file")
    inner = bind("/link/b/c/new/file", "/out/file")
    outer = cache("/link/b/c", "c", CacheSharing.LOCKED)
    snapshot = kitchen.step("cat /a/b/c/new/file", on=linked, mounts=[inner, outer], inputs=[linked])
    assert kitchen.said == b"made\n"
    assert kitchen.left(snapshot) == []


def test_memory_takes_over_the_mode_of_the_folder_that_it_covers(kitchen: Kitchen) -> None:
    """As with BuildKit; it belongs to root all the same."""
    dests = ("/mine", "/made/here", "/tmp")
    mounts = [Mount(input=-1, dest=dest, output=-1, mount_type=MountType.TMPFS, tmpfs_opt=TmpfsOpt()) for dest in dests]
    base = kitchen.step("mkdir /mine; chown 5:6 /mine; chmod 2710 /mine")
    snapshot = kitchen.step(f"stat -c '%a %u:%g' {' '.join(dests)}", on=base, mounts=mounts)
    assert kitchen.said.split(b"\n")[:3] == [b"2710 0:0", b"1777 0:0", b"1777 0:0"]
    assert kitchen.left(snapshot) == []


def test_programs_of_another_stage_may_be_set_user_id_as_with_buildkit(kitchen: Kitchen) -> None:
    mounts = [bind("/m"), cache("/c", "c")]
    said = kitchen.says("grep -E ' /(m|c) ' /proc/self/mounts", mounts=mounts, inputs=[kitchen.base])
    assert len(said.splitlines()) == 2
    assert ("nosuid" in said) is (kitchen.runtime.name == "bubblewrap"), "which knows no other way"


def test_a_mount_may_hide_what_the_sandbox_shows(kitchen: Kitchen) -> None:
    made = kitchen.step("echo mine > /hosts")
    snapshot = kitchen.step("cat /etc/hosts", mounts=[bind("/etc/hosts", "/hosts")], inputs=[made])
    assert kitchen.said == b"mine\n"
    assert kitchen.left(snapshot) == []


def test_a_tmpfs_is_empty_limited_and_forgotten(kitchen: Kitchen) -> None:
    mounts = [
        Mount(input=-1, dest=dest, output=-1, mount_type=MountType.TMPFS, tmpfs_opt=TmpfsOpt(size))
        for dest, size in (("/scratch", 1 << 20), ("/dev/shm", 32 << 20), ("/tmp", 0))
    ]
    snapshot = kitchen.step(
        "for f in /scratch /dev/shm; do df -k $f | awk 'NR==2 {print $2}'; done; echo x > /tmp/x; stat -c %a /tmp",
        mounts=mounts,
    )
    assert kitchen.said.split() == [b"1024", b"32768", b"1777"]
    assert kitchen.left(snapshot) == []


def cache(dest: str, id: str, sharing: CacheSharing = CacheSharing.SHARED, **more: object) -> Mount:
    values = {"input": -1, "output": -1, **more}
    return Mount(dest=dest, mount_type=MountType.CACHE, cache_opt=CacheOpt(id, sharing), **values)  # type: ignore[arg-type]


def test_a_cache_is_kept_between_steps_and_in_no_layer(kitchen: Kitchen) -> None:
    assert kitchen.left(kitchen.step("echo kept > /one/x", mounts=[cache("/one", "c")])) == []
    assert kitchen.says("cat /two/x", mounts=[cache("/two", "c")]) == "kept\n"
    assert kitchen.says("ls /three", mounts=[cache("/three", "other")]) == ""


def test_a_seeded_cache_is_another_one(kitchen: Kitchen) -> None:
    seed = kitchen.step("mkdir /s; echo seeded > /s/file; chown 100:200 /s; chmod 750 /s")
    kitchen.step("echo kept > /c/x", mounts=[cache("/c", "c")])
    seeded = cache("/c", "c", input=1, selector="/s")
    assert (
        kitchen.says("ls /c; cat /c/file; stat -c '%a %u %g' /c", mounts=[seeded], inputs=[seed])
        == "file\nseeded\n750 100 200\n"
    )


def test_a_readonly_cache_is_readonly(kitchen: Kitchen) -> None:
    kitchen.step("! touch /c/x 2>/dev/null", mounts=[cache("/c", "c", readonly=True)])


# ---------------------------------------------------------------- secrets and agents


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


# ---------------------------------------------------------------- ends


def processes() -> list[str]:
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return lines


def running(mark: str) -> list[str]:
    return [line for line in processes() if mark in line and "pytest" not in line]


def unique(kitchen: Kitchen) -> str:
    """A number of seconds that no other test sleeps."""
    return f"9{int.from_bytes(os.urandom(3), 'big')}"


def test_daemons_die_with_their_step(kitchen: Kitchen) -> None:
    mark = unique(kitchen)
    kitchen.step(f"sleep {mark} >/dev/null 2>&1 & sleep {mark} & echo started")
    assert kitchen.said == b"started\n"
    assert not running(f"sleep {mark}")


def cancel_when_started(kitchen: Kitchen, command: str) -> float:
    """Cancels a step as soon as it has said something; the seconds that its end took."""

    async def main() -> float:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kitchen.run, command)
            while not kitchen.said:
                await trio.sleep(0.01)
            start = time.monotonic()
            nursery.cancel_scope.cancel()
        return time.monotonic() - start

    return trio.run(main)


def test_a_cancelled_step_leaves_nothing(kitchen: Kitchen) -> None:
    mark = unique(kitchen)
    took = cancel_when_started(kitchen, f"(sleep {mark} & sleep {mark}) & echo go; sleep {mark}; sleep {mark}")
    assert not running(f"sleep {mark}")
    assert took < 4  # a shell that does not care for SIGTERM is not waited for
    assert [path.name for path in kitchen.state.layers.iterdir()] == [*kitchen.base.layers]


def test_a_cancelled_step_may_clean_up(kitchen: Kitchen) -> None:
    mark = unique(kitchen)
    cancel_when_started(kitchen, f"trap 'echo bye; exit 0' TERM; echo go; sleep {mark} & wait")
    assert kitchen.said == b"go\nbye\n"


def test_steps_run_side_by_side(kitchen: Kitchen) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(kitchen.run, f"echo {number} > /x; sleep 0.2")

    trio.run(main)
    assert len(list(kitchen.state.layers.iterdir())) == 7


def test_an_empty_command_is_refused() -> None:
    with pytest.raises(EngineError, match="without a command"):
        ExecOperation(Vertex.make(ExecOp(meta=Meta())))


# ---------------------------------------------------------------- other architectures


def foreign_program(text: str, then: str = "") -> bytes:
    """A program for ARM, 64 bits, that writes a text and runs another one."""
    program = Launcher("aarch64")
    program.call("write", 1, text, len(text))
    if then:
        program.call("execve", then, strings([then]), strings([]))
    program.call("exit_group", 0)
    return program.program()


def test_programs_of_other_architectures_run_and_so_do_their_children(kitchen: Kitchen) -> None:
    if "arm64" not in {*emulation.emulators(), *emulation.registered()}:
        pytest.skip("needs qemu-user-static")
    handlers = sorted(path.name for path in emulation.HANDLERS.iterdir())
    with kitchen.store.new_layer(kitchen.base) as layer:
        for name, data in (("one", foreign_program("one\n", "/two")), ("two", foreign_program("two\n"))):
            (layer.path / name).write_bytes(data)
            (layer.path / name).chmod(0o755)
        base = layer.commit("foreign")
    kitchen.platform = Platform("arm64", "linux")
    snapshot = kitchen.step("/one", "x", on=base)
    assert kitchen.said == b"one\ntwo\n"
    assert kitchen.left(snapshot) == []
    if ids() is Ids.ALL:  # else this is a namespace of our own
        assert sorted(path.name for path in emulation.HANDLERS.iterdir()) == handlers


def test_an_emulated_program_of_many_names_knows_which_one_it_was_called_by(kitchen: Kitchen) -> None:
    if "arm64" not in emulation.emulators() or "arm64" in emulation.registered():
        pytest.skip("needs qemu-user-static, and a machine that has not registered it by itself")
    # mov x0, 1; ldr x1, [sp, 8]; mov x2, 5; mov x8, 64; svc: write(1, argv[0], 5).  mov x0, 0; mov x8, 94; svc
    code = (0xD2800020, 0xF94007E1, 0xD28000A2, 0xD2800808, 0xD4000001, 0xD2800000, 0xD2800BC8, 0xD4000001)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 0x400078, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 152, 152, 0x1000)
    with kitchen.store.new_layer(kitchen.base) as layer:
        (layer.path / "many").write_bytes(ident + header + segment + struct.pack("<8I", *code))
        (layer.path / "many").chmod(0o755)
        base = layer.commit("foreign")
    kitchen.platform = Platform("arm64", "linux")
    assert kitchen.says("(exec -a bread /many); (exec -a cakes /many)", on=base) == "breadcakes"


def test_an_architecture_without_emulator_is_an_error_that_says_what_to_install(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulation, "emulators", dict)
    monkeypatch.setattr(emulation, "registered", dict)
    kitchen.platform = Platform("s390x", "linux")
    with pytest.raises(UnsupportedError, match="cannot run steps of linux/s390x") as caught:
        kitchen.step("true")
    assert "qemu-s390x-static" in caught.value.hint


def test_ten_million_lines_come_in_few_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done for a line costs; what is done for a piece of many does not. busybox writes 4 KiB at a time."""
    kitchen = Kitchen(tmp_path, "native")
    sizes: list[int] = []
    monkeypatch.setattr(kitchen, "_log", lambda stream, data: sizes.append(len(data)))
    kitchen.step("busybox seq 1 10000000")
    assert sum(sizes) == 78_888_897
    assert len(sizes) <= sum(sizes) // 4096 + 1
    kitchen.store.close()
    kitchen.state.close()


# ---------------------------------------------------------------- resources


@pytest.mark.skipif(ids() is not Ids.ALL, reason="a user may make no control groups unless systemd delegates them")
def test_a_step_with_a_memory_limit_ends_when_it_needs_more(kitchen: Kitchen) -> None:
    kitchen.resources = LinuxResources(memory=64 << 20, cpu_shares=512)
    kitchen.step("head -c 1000 /dev/zero > /x")
    if b"not limited" in kitchen.said:
        pytest.skip("no control groups can be made here")
    with pytest.raises(ExitError) as caught:
        kitchen.step("awk 'BEGIN { s = \"x\"; while (length(s) < 200000000) s = s s }'")
    assert caught.value.hint.startswith("out of memory: it needed more than the 67,108,864 bytes that it may have")
    assert b"bakery: out of memory" in kitchen.said
    assert not list(Path("/sys/fs/cgroup").rglob(f"bakery-{os.getpid()}-*"))


@pytest.mark.skipif(ids() is not Ids.ALL, reason="a user may make no control groups unless systemd delegates them")
def test_who_ends_itself_is_not_said_to_need_memory(kitchen: Kitchen) -> None:
    kitchen.resources = LinuxResources(memory=64 << 20)
    with pytest.raises(ExitError) as caught:
        kitchen.step("sh -c 'kill -9 $$'; exit 137")
    assert "out of memory" not in caught.value.hint
    assert b"out of memory" not in kitchen.said


@pytest.mark.skipif(ids() is not Ids.ALL, reason="a user may make no control groups unless systemd delegates them")
def test_a_step_may_be_put_into_a_control_group_of_somebody_elses(kitchen: Kitchen) -> None:
    parent = f"bakery-tests-{os.getpid()}"
    try:
        said = kitchen.says("cat /proc/self/cgroup", cgroup_parent=f"../{parent}")
        if "not limited" in said:
            pytest.skip("no control groups can be made here")
        in_it = {line for line in said.splitlines() if f":/{parent}/bakery-{os.getpid()}-" in line}
        assert any("memory" in line or line.startswith("0::") for line in in_it), said
    finally:
        for folder in (*Path("/sys/fs/cgroup").glob(f"*/{parent}"), Path("/sys/fs/cgroup", parent)):
            if folder.exists():
                folder.rmdir()
