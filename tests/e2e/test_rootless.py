"""Builds of an ordinary user: with sub-ids they come out as root's do, without them what cannot work says why."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ordinary_user import UID, OrdinaryUser, ordinary_user
from support.program import Program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become an ordinary user"),
]

DOCKERFILE = """FROM busybox AS made
RUN mkdir -p /d/sub /bin/inner && echo a > /d/a && echo b > /d/sub/b && chown -R 33:44 /d && chmod 2750 /d/sub
RUN rm /d/a && rm -rf /d/sub && mkdir /d/sub && echo new > /d/sub/c && ln /d/sub/c /d/hard && chmod 4711 /d/hard
USER nobody
RUN id -u > /tmp/who && id -g >> /tmp/who
USER 7:8
RUN echo mine > /tmp/mine
COPY --chown=5:6 file /file
FROM made AS last
USER 0
RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t touch /c/x /t/x && rm /tmp/mine
"""


@pytest.fixture
def user(busybox: Path) -> Iterator[OrdinaryUser]:
    with ordinary_user(sub_ids=True) as someone:
        prepare(someone, busybox)
        yield someone


@pytest.fixture
def poor_user(busybox: Path) -> Iterator[OrdinaryUser]:
    with ordinary_user(sub_ids=False) as someone:
        prepare(someone, busybox)
        yield someone


def prepare(someone: OrdinaryUser, busybox: Path) -> None:
    shutil.copytree(busybox, someone.folder / "base")
    write_project(someone.folder, DOCKERFILE)
    for folder, _, files in os.walk(someone.folder):
        for name in (folder, *(os.path.join(folder, file) for file in files)):
            os.chown(name, UID, UID)


def write_project(folder: Path, dockerfile: str) -> None:
    target = {"contexts": {"busybox": "oci-layout://base"}, "output": ["type=oci,dest=image.tar"]}
    (folder / "docker-bake.json").write_text(json.dumps({"target": {"default": target}}))
    (folder / "Dockerfile").write_text(dockerfile)
    (folder / "file").write_text("content\n")


Listing = list[dict[str, tuple[object, ...]]]


def layers(archive: Path) -> Listing:
    """Of each layer of an image, what it says of each path, times aside."""
    with tarfile.open(archive) as image:
        index = json.load(image.extractfile("index.json"))  # type: ignore[arg-type]
        manifest = json.load(image.extractfile(blob(index["manifests"][0]["digest"])))  # type: ignore[arg-type]
        blobs = [image.extractfile(blob(layer["digest"])).read() for layer in manifest["layers"]]  # type: ignore[union-attr]
    found = []
    for data in blobs:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            found.append({m.name: (m.type, m.mode, m.uid, m.gid, m.linkname, m.size) for m in tar})
    return found


def blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def test_a_user_with_sub_ids_builds_what_root_builds(user: OrdinaryUser, program: Program) -> None:
    write_project(program.folder, DOCKERFILE)
    program.build()
    built = user.bakery("build", "--progress=plain")
    assert built.returncode == 0, built.stderr
    assert layers(user.folder / "image.tar") == layers(program.folder / "image.tar")
    last = layers(user.folder / "image.tar")[-1]
    assert last.keys() == {"tmp/", "tmp/.wh.mine"} or last.keys() == {"tmp", "tmp/.wh.mine"}
    again = user.bakery("build", "--progress=plain")
    assert again.stderr.count("CACHED") >= 6
    inside = user.folder / "root" / "ids"
    assert inside.read_text().startswith(f"0 {UID} 1")


@pytest.mark.network
def test_a_user_with_sub_ids_installs_packages(user: OrdinaryUser, debian: Path) -> None:
    shutil.copytree(debian, user.folder / "debian")
    subprocess.run(["chown", "-R", f"{UID}:{UID}", user.folder / "debian"], check=True)
    (user.folder / "docker-bake.json").write_text(
        '{"target": {"default": {"contexts": {"debian": "oci-layout://debian"}}}}'
    )
    install = "apt-get update && apt-get install -y --no-install-recommends make cron"
    check = "make --version && stat -c %G /usr/bin/crontab && useradd -m someone && su someone -c 'id -un'"
    (user.folder / "Dockerfile").write_text(f"FROM debian\nRUN {install}\nRUN {check}\n")
    built = user.bakery("build", "--progress=plain")
    assert built.returncode == 0, built.stderr
    assert " GNU Make " in built.stderr
    said = [line.rpartition(" ")[2] for line in built.stderr.splitlines()]
    assert "crontab" in said, "a package's group owns its program"
    assert "someone" in said, "a set-user-ID program did what it is for"


def test_what_one_has_written_is_not_for_others_to_misread(user: OrdinaryUser) -> None:
    assert user.bakery("build").returncode == 0
    roots = Program(user.folder, user.folder / "root")
    message = roots.fail("build")
    assert "were written with other user ids" in message
    assert "BAKERY_ROOT" in message


def test_without_sub_ids_what_needs_them_says_how_to_get_them(poor_user: OrdinaryUser) -> None:
    write_project(poor_user.folder, "FROM busybox\nRUN echo works > /x && chown 0:0 /x\n")
    assert poor_user.bakery("build").returncode == 0
    for line in ("RUN chown 5 /etc", "USER 5\nRUN true"):
        write_project(poor_user.folder, f"FROM busybox\n{line}\n")
        failed = poor_user.bakery("build")
        assert failed.returncode == 1
        assert "one user only here: /etc/subuid has no ids for flour" in failed.stderr
        assert "usermod --add-subuids" in failed.stderr


@pytest.mark.parametrize("runtime", ["native", "bubblewrap", "crun", "runc"])
def test_steps_of_a_user_pass_the_tests_of_steps(user: OrdinaryUser, runtime: str) -> None:
    if runtime in ("crun", "runc") and not shutil.which(runtime, path="/usr/bin:/usr/sbin"):
        pytest.skip(f"{runtime} is missing")
    enter = "from engine.snapshots import user_namespace; user_namespace.enter()"
    chosen = "capabilities or escape or users_are or secret_is_a_file or what_a_step_writes or network_none"
    chosen += " or test_death or reach_beyond_a_step or within_reach or nowhere_for or leads_no_mount or gets_nodes"
    script = f"import sys; {enter}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    engine = Path(__file__).parents[1] / "engine"
    tests = [
        str(engine / "ops/test_exec.py"),
        str(engine / "ops/test_exec_secrets.py"),
        str(engine / "ops/test_devices.py"),
        str(engine / "sandbox/test_escape.py"),
        str(engine / "sandbox/test_death.py"),
    ]
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", f"{runtime} and ({chosen})", *tests]
    done = user.run(user.python, "-c", script, *options)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "skipped" not in done.stdout.splitlines()[-1]
