"""Steps of other architectures, that are really run."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from support.kitchen import Kitchen

from engine.errors import UnsupportedError
from engine.llb.ops import Platform
from engine.sandbox import emulation
from engine.sandbox.launcher import Launcher, strings
from engine.snapshots.user_namespace import Ids, ids

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount"),
    pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs the package busybox-static"),
]


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
