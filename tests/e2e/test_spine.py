"""From a bake file to images and back: what is shared runs once, what is known not at all, and failures are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from support.patience import PATIENCE
from support.program import Program
from support.registry_server import registry_server

pytestmark = [pytest.mark.slow, pytest.mark.root]

BAKE = """
group "default" { targets = ["one", "two"] }
target "_base" {
  contexts   = { busybox = "oci-layout://base" }
  dockerfile = "Dockerfile"
}
target "one" {
  inherits = ["_base"]
  target   = "one"
  output   = ["type=oci,dest=one.tar", "type=local,dest=one", "type=docker,dest=one.docker.tar"]
  tags     = ["example.test/one:1"]
}
target "two" {
  inherits = ["_base"]
  target   = "two"
  output   = ["type=tar,dest=two.tar"]
}
"""
DOCKERFILE = """FROM busybox AS shared
RUN echo shared > /shared
FROM busybox AS unused
RUN false
FROM shared AS one
RUN cat /shared > /one
COPY file /file
CMD ["cat", "/one"]
FROM shared AS two
RUN cat /shared > /two
"""


@pytest.fixture
def project(program: Program) -> Program:
    program.write(docker_bake_DOT_hcl=BAKE, Dockerfile=DOCKERFILE, file="content\n")
    os.rename(program.folder / "docker_bake.hcl", program.folder / "docker-bake.hcl")
    return program


def test_shared_steps_run_once_and_unused_ones_never(project: Program) -> None:
    first = project.build()
    assert first.ran_times("RUN echo shared") == 1
    assert first.ran_times("RUN cat") == 2
    assert first.ran_times("RUN false") == 0
    assert (project.folder / "one/one").read_text() == "shared\n"
    assert (project.folder / "one/file").read_text() == "content\n"
    with tarfile.open(project.folder / "two.tar") as tar:
        assert "two" in {name.removeprefix("./") for name in tar.getnames()}


def test_a_second_build_runs_nothing(project: Program) -> None:
    project.build()
    assert project.build().ran == []
    assert project.build("all").ran == []


def test_a_changed_file_runs_only_what_needs_it(project: Program) -> None:
    project.build()
    (project.folder / "file").write_text("changed!\n")
    assert [name.split("] ")[1] for name in project.build().ran] == ["COPY file /file"]
    (project.folder / "file").write_text("content\n")
    assert project.build().ran == [], "what was there before is still known"


def test_another_root_makes_the_same_bytes(project: Program, tmp_path: Path) -> None:
    epoch = ("--set", "*.args.SOURCE_DATE_EPOCH=0", "--set", "one.output=type=oci,dest=one.tar,rewrite-timestamp=true")
    project.build("one", *epoch)
    before = (project.folder / "one.tar").read_bytes()
    project.root = tmp_path / "other"
    (project.folder / "one.tar").unlink()
    project.build("one", *epoch)
    assert (project.folder / "one.tar").read_bytes() == before


def test_archives_are_what_skopeo_reads(project: Program) -> None:
    project.build("one")
    for archive in ("oci-archive:one.tar", "docker-archive:one.docker.tar"):
        command = ["skopeo", "--insecure-policy", "inspect", "--config", archive]
        config = json.loads(subprocess.run(command, cwd=project.folder, check=True, capture_output=True).stdout)
        assert config["config"]["Cmd"] == ["cat", "/one"]
        assert len(config["rootfs"]["diff_ids"]) == 4


def test_an_image_pushed_to_a_registry_is_pulled_by_others(project: Program, tmp_path: Path) -> None:
    with registry_server(tmp_path / "registry") as registry:
        image = f"{registry.host}/one:1"
        project.build("one", "--set", f"one.tags={image}", "--set", "one.output=type=image,push=true")
        command = ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", f"docker://{image}", "oci:pulled:1"]
        subprocess.run(command, cwd=project.folder, check=True, capture_output=True)
        subprocess.run(
            ["umoci", "raw", "unpack", "--image", "pulled:1", "unpacked"],
            cwd=project.folder,
            check=True,
            capture_output=True,
        )
    assert (project.folder / "unpacked/one").read_text() == "shared\n"
    assert (project.folder / "unpacked/file").read_text() == "content\n"


def test_a_dockerfile_alone_is_the_target_default(program: Program) -> None:
    program.write(Dockerfile="FROM scratch\nCOPY Dockerfile /\n")
    program.build("--set", "default.output=type=local,dest=out")
    assert (program.folder / "out/Dockerfile").exists()


def test_all_is_every_target_without_an_underscore(project: Program) -> None:
    printed = project.run("build", "--print", "all")
    assert sorted(json.loads(printed.out)["target"]) == ["one", "two"]


def test_a_failing_step_is_told_with_its_line_and_its_last_words(project: Program) -> None:
    broken = DOCKERFILE.replace("RUN cat /shared > /two", "RUN echo almost; echo there >&2; exit 7")
    (project.folder / "Dockerfile").write_text(broken)
    said = project.fail("build", "--progress=plain")
    assert "exit code: 7" in said
    assert "Dockerfile:10" in said
    assert "almost" in said
    assert "there" in said
    assert (project.folder / "one/one").exists(), "the other target is built"
    (project.folder / "Dockerfile").write_text(DOCKERFILE)
    assert [name.split("] ")[1] for name in project.build().ran] == ["RUN cat /shared > /two"]


@pytest.mark.parametrize(
    ("file", "text", "arguments", "words"),
    [
        ("x", "", ["oen"], ["oen", "Did you mean", "one"]),
        ("x", "", ["one", "--set", "one.dockerfile=Missing"], ["Missing", "no such file"]),
        ("Dockerfile", "FROM busybox\nRUNN true\n", [], ["Dockerfile:2", "RUNN", "RUN"]),
        ("docker-bake.hcl", 'target "one" {\n  context = [\n}\n', [], ["docker-bake.hcl:"]),
        (
            "Dockerfile",
            "FROM localhost:1/nothing:here AS one\nFROM one AS two\n",
            ["--set", "*.contexts.busybox=oci-layout://base"],
            ["localhost:1/nothing:here", "Dockerfile:1"],
        ),
        ("Dockerfile", "FROM busybox AS one\nCOPY nowhere /\nFROM one AS two\n", [], ["nowhere", "Dockerfile:2"]),
    ],
)
def test_bad_input_is_told_in_a_few_lines(
    project: Program, file: str, text: str, arguments: list[str], words: list[str]
) -> None:
    (project.folder / file).write_text(text)
    said = project.fail("build", "--progress=plain", *arguments)
    for word in words:
        assert word.lower() in said.lower()


def test_wrong_usage_is_code_2(project: Program) -> None:
    assert "--nonsense" in project.fail("build", "--nonsense", code=2)


def test_ctrl_c_ends_the_step_and_keeps_what_was_done(project: Program) -> None:
    marker = f"sleep 98765{os.getpid()}"
    slow = DOCKERFILE.replace("RUN cat /shared > /two", f"RUN {marker}")
    (project.folder / "Dockerfile").write_text(slow)
    process = project.start("build", "--progress=plain", start_new_session=True)
    _wait_until(lambda: _running(marker))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    _wait_until(lambda: not _running(marker))
    (project.folder / "Dockerfile").write_text(DOCKERFILE)
    assert project.build().ran_times("RUN echo shared") == 0


def test_a_killed_build_leaves_no_process_and_loses_nothing(project: Program) -> None:
    marker = f"sleep 87654{os.getpid()}"
    (project.folder / "Dockerfile").write_text(DOCKERFILE.replace("RUN cat /shared > /two", f"RUN {marker}"))
    process = project.start("build", "--progress=plain")
    _wait_until(lambda: _running(marker))
    process.kill()
    process.communicate(timeout=PATIENCE)
    _wait_until(lambda: not _running(marker))
    (project.folder / "Dockerfile").write_text(DOCKERFILE)
    assert project.build().ran_times("RUN echo shared") == 0


def test_a_full_disk_is_told_and_the_next_build_works(project: Program, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs mounts")
    try:
        project.root = disk / "root"
        filling = DOCKERFILE.replace("RUN cat /shared > /two", "RUN dd if=/dev/zero of=/two bs=1M count=40")
        (project.folder / "Dockerfile").write_text(filling)
        said = project.fail("build", "--progress=plain")
        assert "No space left on device" in said or "full" in said
        (project.folder / "Dockerfile").write_text(DOCKERFILE)
        project.build()
    finally:
        subprocess.run(["umount", disk], check=True)


def _running(words: str) -> bool:
    return any(
        words.encode() in path.read_bytes().replace(b"\0", b" ")
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists() and int(path.parent.name) != os.getpid()
    )


def _wait_until(holds: object, seconds: float = PATIENCE) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if holds():
                return
        except OSError:
            continue
        time.sleep(0.05)
    raise AssertionError("it did not come to that in time")
