"""Devices in steps: what a machine describes is given to who may have it; who needs what it does not have is told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kitchen import RUNTIMES, Kitchen

from engine.errors import EntitlementError, StepError, UnsupportedError
from engine.llb.ops import CDIDevice
from engine.sandbox import devices
from engine.snapshots.user_namespace import Ids, ids

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount"),
    pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs the package busybox-static"),
]

TUN, ZERO = Path("/dev/net/tun"), Path("/dev/zero")
NODE = TUN if TUN.exists() and ids() is Ids.ALL else ZERO


@pytest.fixture(params=RUNTIMES)
def kitchen(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Kitchen]:
    kitchen = Kitchen(tmp_path, request.param)
    yield kitchen
    kitchen.store.close()
    kitchen.state.close()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cdi"
    folder.mkdir()
    monkeypatch.setattr(devices, "FOLDERS", (tmp_path / "none", folder))
    return folder


def oven(folder: Path) -> None:
    """Describes two ovens of one kind."""
    (folder.parent / "manual").write_text("hot\n")
    manual = {"hostPath": str(folder.parent / "manual"), "containerPath": "/opt/manual", "options": ["ro", "bind"]}
    edits = {
        "deviceNodes": [{"path": "/dev/oven", "hostPath": str(NODE)}],
        "mounts": [manual],
        "env": ["OVEN=one"],
        "additionalGIDs": [44],
    }
    kitchen = [
        {"name": "one", "containerEdits": edits},
        {"name": "two", "containerEdits": {"env": ["OVEN=two"]}, "annotations": {devices._CLASS: "stove"}},
    ]
    spec = {"cdiVersion": "0.6.0", "kind": "example.com/oven", "devices": kitchen}
    (folder / "oven.json").write_text(json.dumps({**spec, "containerEdits": {"env": ["KIND=oven"]}}))


def asking(*names: str, required: bool = True) -> dict[str, object]:
    return {"cdi_devices": tuple(CDIDevice(name, optional=not required) for name in names)}


def test_a_step_gets_nodes_files_variables_and_groups(kitchen: Kitchen, folder: Path) -> None:
    oven(folder)
    number = NODE.stat().st_rdev
    snapshot = kitchen.step(
        ": < /dev/oven && stat -c %t:%T /dev/oven; cat /opt/manual; ! echo x 2>/dev/null > /opt/manual;"
        " echo $OVEN $KIND; grep Groups /proc/self/status",
        op=asking("example.com/oven=one"),
        allowed=["device=example.com/oven=one"],
    )
    node, manual, variables, groups = kitchen.said.decode().splitlines()
    assert node == f"{os.major(number):x}:{os.minor(number):x}"
    assert (manual, variables) == ("hot", "one oven")
    assert ids() is Ids.SINGLE or "44" in groups.split()
    assert kitchen.left(snapshot) == []


def hooked(folder: Path, **hook: object) -> None:
    edits = {"hooks": [{"path": "/bin/sh", **hook}]}
    spec = {"cdiVersion": "0.6.0", "kind": "example.com/lamp", "devices": [{"name": "one", "containerEdits": edits}]}
    (folder / "lamp.json").write_text(json.dumps(spec))


def test_a_hook_is_run_by_runtimes_that_can_and_refused_by_others(kitchen: Kitchen, folder: Path) -> None:
    told = folder.parent / "told"
    told.touch()
    hooked(
        folder, hookName="createRuntime", args=["sh", "-c", f'(cat; echo; echo "$LIGHT") > {told}'], env=["LIGHT=on"]
    )
    lamp = {"op": asking("example.com/lamp=one"), "allowed": ["device"]}
    if kitchen.runtime.name in ("native", "bubblewrap"):
        with pytest.raises(UnsupportedError, match="has the createRuntime hook /bin/sh, which the runtime") as caught:
            kitchen.step("true", **lamp)
        assert "--runtime=crun" in caught.value.hint
        assert told.read_text() == ""
        return
    kitchen.step("true", **lamp)
    state, light = told.read_text().splitlines()
    assert (json.loads(state)["id"].startswith("bakery-"), light) == (True, "on")
    hooked(folder, hookName="createRuntime", args=["sh", "-c", "exit 5"])
    with pytest.raises(StepError, match="the sandbox could not be set up: .*hook"):
        kitchen.step("true", **lamp)


def test_a_hook_that_there_is_none_of_is_named(kitchen: Kitchen, folder: Path) -> None:
    hooked(folder, hookName="someday")
    with pytest.raises(
        StepError, match=r"lamp\.json does not describe devices: ValueError: there is no hook called someday"
    ):
        kitchen.step("true", op=asking("example.com/lamp=one"), allowed=["device"])


@pytest.mark.parametrize(
    ("name", "given"),
    [("example.com/oven=two", "two oven"), ("example.com/oven", "one oven"), ("stove", "two oven")],
)
def test_a_device_is_found_by_name_kind_or_class(kitchen: Kitchen, folder: Path, name: str, given: str) -> None:
    oven(folder)
    assert kitchen.says("echo $OVEN $KIND", op=asking(name), allowed=["device"]) == f"{given}\n"


def test_all_of_a_kind_and_descriptions_in_yaml(kitchen: Kitchen, folder: Path) -> None:
    text = "cdiVersion: 0.6.0\nkind: a.b/c\ndevices:\n"
    text += "".join(f"- name: '{name}'\n  containerEdits: {{env: [{name}=1]}}\n" for name in "XY")
    (folder / "c.yaml").write_text(text)
    assert kitchen.says("echo $X$Y", op=asking("a.b/c=*"), allowed=["device"]) == "11\n"


def test_a_device_that_is_not_there_is_missed_by_who_requires_it(kitchen: Kitchen, folder: Path) -> None:
    assert kitchen.says("ls /dev | grep -c oven || true", op=asking("a.b/oven=x", required=False)) == "0\n"
    with pytest.raises(StepError, match="required device 'a.b/oven=x' is not registered") as caught:
        kitchen.step("true", op=asking("a.b/oven=x"), allowed=["device"])
    assert str(folder) in caught.value.hint


def test_a_device_is_for_who_may_have_it(kitchen: Kitchen, folder: Path) -> None:
    oven(folder)
    for allowed in ([], ["device=example.com/oven=two"]):
        with pytest.raises(EntitlementError, match="device=example.com/oven=one is not allowed"):
            kitchen.step("true", op=asking("example.com/oven=one", required=False), allowed=allowed)


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "a.b/c"}', '{"kind": "a.b/c", "devices": [{}]}', "\x00"])
def test_a_description_that_makes_no_sense_is_named(kitchen: Kitchen, folder: Path, text: str) -> None:
    (folder / "bad.json").write_text(text)
    (folder / "other.txt").write_text("not looked at")
    with pytest.raises(StepError, match=r"bad\.json does not describe devices"):
        kitchen.step("true", op=asking("a.b/c=x", required=False))
