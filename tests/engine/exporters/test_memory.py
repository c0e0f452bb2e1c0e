"""Outputs that are still there are not written again; whoever touches them gets them anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from engine.blobs import BlobStore
from engine.errors import ExportError
from engine.exporters import open_exporter
from engine.exporters.context import ExportContext
from engine.exporters.contract import Export, ExportResult, PlatformImage, TargetImage
from engine.exporters.memory import OutputMemory
from engine.llb.ops import Platform
from engine.registry.client import Registries
from engine.results import Snapshot
from engine.snapshots.store import SnapshotStore
from engine.state import State
from tests.support.docker_engine import docker_engine
from tests.support.images import skopeo_copy, write_layout
from tests.support.registry_server import RegistryServer, registry_server

CONFIG = {"architecture": "amd64", "os": "linux", "config": {}, "history": [{"created_by": "COPY a"}]}


class World:
    """A state folder with one target, and the outputs that were really written."""

    def __init__(self, state: State, store: SnapshotStore) -> None:
        self.state, self.store = state, store
        with store.new_layer(Snapshot()) as new:
            (new.path / "a").write_text("one\n")
            (new.path / "empty").mkdir()
            (new.path / "link").symlink_to("a")
            self.target = self.of(new.commit("a step"))

    def of(self, snapshot: Snapshot) -> TargetImage:
        return TargetImage("app", (PlatformImage("linux/amd64", Platform("amd64", "linux"), snapshot, CONFIG),))

    def deliver(self, type: str, **attributes: str) -> tuple[ExportResult, bool]:
        """As delivery does it; also whether anything was written."""
        export = Export(type, {key.replace("_", "-"): value for key, value in attributes.items()})

        async def run() -> tuple[ExportResult, bool]:
            async with Registries(environ={}) as registries:
                context = ExportContext(
                    self.state, self.store, BlobStore(self.state), lambda: registries, lambda *_: None
                )
                memory = OutputMemory(self.state)
                if known := await memory.recall(self.target, export, context):
                    return known.result, False
                exporter = open_exporter(export)
                result = await exporter.export(self.target, context)
                memory.remember(self.target, export, exporter.title, result)
                return result, True

        return trio.run(run)

    def writes(self, type: str, **attributes: str) -> bool:
        return self.deliver(type, **attributes)[1]


@pytest.fixture
def world(state: State, store: SnapshotStore) -> World:
    return World(state, store)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.mark.parametrize("type", ["oci", "docker", "tar"])
def test_an_archive_is_written_once(world: World, tmp_path: Path, type: str) -> None:
    dest = tmp_path / "out.tar"
    first, written = world.deliver(type, dest=str(dest))
    inode = dest.stat().st_ino
    assert written
    again, written = world.deliver(type, dest=str(dest))
    assert not written
    assert dest.stat().st_ino == inode
    assert again.metadata == first.metadata
    assert again.size == first.size > 0


def test_an_archive_that_was_changed_removed_or_is_of_another_target_is_written_anew(
    world: World, tmp_path: Path
) -> None:
    dest = tmp_path / "out.tar"
    assert world.writes("oci", dest=str(dest))
    with dest.open("r+b") as file:
        file.write(b"x")
    status = dest.stat()
    assert world.writes("oci", dest=str(dest))
    dest.unlink()
    assert world.writes("oci", dest=str(dest))
    os.utime(dest, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert world.writes("oci", dest=str(dest)), "its change time tells"
    assert world.writes("oci", dest=str(dest), compression="zstd")
    assert not world.writes("oci", dest=str(dest), compression="zstd")
    world.target = replace(world.target, epoch=1_600_000_000)
    assert world.writes("oci", dest=str(dest), compression="zstd")


def test_a_layout_that_others_add_to_is_still_ours(world: World, tmp_path: Path) -> None:
    dest = tmp_path / "layout"
    assert world.writes("oci", dest=str(dest), tar="false", name="app:1")
    other = replace(world.target, name="other")
    world.target, mine = other, world.target
    assert world.writes("oci", dest=str(dest), tar="false", name="app:2")
    world.target = mine
    assert not world.writes("oci", dest=str(dest), tar="false", name="app:1")
    (dest / "index.json").write_text('{"schemaVersion": 2, "manifests": []}')
    assert world.writes("oci", dest=str(dest), tar="false", name="app:1")
    next((dest / "blobs/sha256").iterdir()).unlink()
    assert world.writes("oci", dest=str(dest), tar="false", name="app:1")


def test_files_of_others_do_not_matter_unless_the_folder_is_to_have_ours_only(world: World, tmp_path: Path) -> None:
    dest = tmp_path / "files"
    assert world.writes("local", dest=str(dest))
    (dest / "mine").write_text("")
    (dest / "empty" / "mine").write_text("")
    assert not world.writes("local", dest=str(dest))
    assert world.writes("local", dest=str(dest), mode="delete")
    assert not world.writes("local", dest=str(dest), mode="delete")
    (dest / "empty" / "mine").write_text("")
    assert world.writes("local", dest=str(dest), mode="delete")
    assert not (dest / "empty" / "mine").exists()


@pytest.mark.parametrize("harm", ["change", "remove", "folder", "link", "mode"])
def test_a_folder_that_was_touched_is_written_anew(world: World, tmp_path: Path, harm: str) -> None:
    dest = tmp_path / "files"
    assert world.writes("local", dest=str(dest))
    if harm == "change":
        (dest / "a").write_text("two\n")
    elif harm == "remove":
        (dest / "a").unlink()
    elif harm == "folder":
        (dest / "empty").rmdir()
    elif harm == "mode":
        (dest / "a").chmod(0o600)
    else:
        (dest / "link").unlink()
        (dest / "link").symlink_to("empty")
    assert world.writes("local", dest=str(dest))
    assert (dest / "a").read_text() == "one\n"
    assert not world.writes("local", dest=str(dest))


def test_what_goes_to_standard_output_always_goes_there(
    world: World, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert world.writes("tar", dest="-")
    assert world.writes("tar", dest="-")


def test_a_push_is_one_question_when_the_name_means_the_image_already(
    world: World, registry: RegistryServer, tmp_path: Path
) -> None:
    name = f"{registry.host}/once"
    first, _ = world.deliver("image", name=name, push="true")
    before = len(registry.requests())
    again, written = world.deliver("image", name=name, push="true")
    asked = registry.requests()[before:]
    assert not written
    assert again.metadata == first.metadata
    assert [line for line in asked if not line.endswith("/v2/")] == ["HEAD /v2/once/manifests/latest"]

    # Somebody else moves the tag.
    skopeo_copy(f"oci:{write_layout(tmp_path / 'other', [])}:latest", f"docker://{name}")
    before = len(registry.requests())
    assert world.writes("image", name=name, push="true")
    assert not [line for line in registry.requests()[before:] if "blobs" in line], "the manifest was there: only a tag"
    assert not world.writes("image", name=name, push="true")


def test_an_image_that_another_root_pushed_is_not_sent_again(world: World, registry: RegistryServer) -> None:
    world.deliver("image", name=f"{registry.host}/twice", push="true")
    world.state.write("DELETE FROM outputs")
    before = len(registry.requests())
    assert world.writes("image", name=f"{registry.host}/twice", push="true")
    assert [line.split()[0] for line in registry.requests()[before:]] == ["HEAD"]


def test_an_image_is_loaded_into_a_docker_engine_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with docker_engine(tmp_path / "docker.sock") as engine:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.path}")
        result, _ = world.deliver("docker", name="app:1")
        assert engine.names == {"app:1": result.metadata["containerimage.config.digest"]}
        assert not world.writes("docker", name="app:1")
        assert len(engine.archives) == 1
        engine.names.clear()
        assert world.writes("docker", name="app:1")
        assert len(engine.archives) == 2


def test_an_engine_that_refuses_is_quoted(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with docker_engine(tmp_path / "docker.sock") as engine:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.path}")
        engine.refuses = "no space left on device"
        with pytest.raises(ExportError, match="does not take the image: no space left on device"):
            world.deliver("docker", name="app:1")
    engine.path.unlink()
    with pytest.raises(ExportError, match="no Docker engine"):
        world.deliver("docker", name="app:1")
