"""Steps that are really run: what they see, what they leave in their layer, and how they end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from support.kitchen import PASSWD, Kitchen

from engine.errors import EntitlementError, ExitError, StepError
from engine.llb.ops import HostIP, NetMode, ProxyEnv, SecurityMode, Ulimit
from engine.snapshots.user_namespace import Ids, ids

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount"),
    pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs the package busybox-static"),
]

real_root = pytest.mark.skipif(ids() is not Ids.ALL, reason="only the machine's own root makes device nodes")


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
