"""`bakery images`, against a real registry, layouts of skopeo's, and layouts of our own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from bakery.cli.images import images
from engine import oci
from engine.errors import SourceError
from tests.support.images import layer_tar, skopeo_copy, write_layout
from tests.support.registry_server import RegistryServer, registry_server

BASE = layer_tar({"etc/": b"", "etc/name": b"one\n", "etc/old": b"old\n", "bin/tool": b"#!/bin/sh\n"})
MORE = layer_tar({"etc/name": b"two!\n", "etc/.wh.old": b"", "new": b"new\n"})


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        yield server


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(images, arguments, standalone_mode=False)
    if result.exception:
        raise result.exception
    return result


def inspected(name: str) -> dict[str, Any]:
    return json.loads(call("inspect", name, "--format", "json").stdout)


def test_an_image_is_shown_with_all_its_platforms(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "l", [BASE, MORE], architectures=("amd64", "arm64"))
    found = inspected(f"oci:{layout}")
    assert [image["platform"] for image in found["images"]] == ["linux/amd64", "linux/arm64"]
    assert [len(image["layers"]) for image in found["images"]] == [2, 2]
    text = call("inspect", f"oci:{layout}").stdout
    assert "Platform:       linux/arm64" in text
    assert found["digest"] in text


def test_what_an_image_says_cannot_move_the_cursor(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "l", [BASE])
    index = json.loads((layout / "index.json").read_text())
    path = layout / "blobs/sha256" / index["manifests"][0]["digest"].partition(":")[2]
    manifest = json.loads(path.read_text())
    config_path = layout / "blobs/sha256" / manifest["config"]["digest"].partition(":")[2]
    config = json.loads(config_path.read_text()) | {"created": "\x1b[2J"}
    data = json.dumps(config).encode()
    described = oci.describe(data, oci.OCI_CONFIG)
    config_path.with_name(described.digest.partition(":")[2]).write_bytes(data)
    manifest["config"] |= {"digest": described.digest, "size": described.size}
    top = oci.describe(json.dumps(manifest).encode(), oci.OCI_MANIFEST)
    path.with_name(top.digest.partition(":")[2]).write_text(json.dumps(manifest))
    index["manifests"][0] |= {"digest": top.digest, "size": top.size}
    (layout / "index.json").write_text(json.dumps(index))
    assert "\x1b" not in call("inspect", f"oci:{layout}").stdout


def test_an_image_goes_to_a_registry_and_back_unchanged(tmp_path: Path, registry: RegistryServer) -> None:
    layout = write_layout(tmp_path / "l", [BASE, MORE], architectures=("amd64", "arm64"))
    name = f"{registry.host}/copied:1"
    digest = call("copy", f"oci:{layout}", name).stdout.strip()
    assert inspected(name)["digest"] == digest == inspected(f"oci:{layout}")["digest"]
    skopeo_copy(f"docker://{name}", f"oci:{tmp_path / 'theirs'}:1")
    call("copy", name, f"oci:{tmp_path / 'ours'}:1")
    assert inspected(f"oci:{tmp_path / 'ours'}:1")["digest"] == digest
    subprocess.run(["skopeo", "inspect", "--raw", f"oci:{tmp_path / 'ours'}:1"], check=True, capture_output=True)
    theirs = {path.name for path in (tmp_path / "theirs/blobs/sha256").iterdir()}
    assert {path.name for path in (tmp_path / "ours/blobs/sha256").iterdir()} == theirs


def test_an_image_goes_into_an_archive_and_back_unchanged(tmp_path: Path, registry: RegistryServer) -> None:
    layout = write_layout(tmp_path / "l", [BASE, MORE], architectures=("amd64", "arm64"))
    archive = tmp_path / "new" / "image.tar"
    call("copy", f"oci:{layout}", f"oci-archive:{archive}:one")
    first = archive.read_bytes()
    call("copy", f"oci:{layout}", f"oci-archive:{archive}:one")
    assert archive.read_bytes() == first
    assert [path.name for path in archive.parent.iterdir()] == ["image.tar"]
    skopeo_copy(f"oci-archive:{archive}:one", f"oci:{tmp_path / 'theirs'}:x")
    call("copy", f"oci-archive:{archive}:one", f"{registry.host}/archived")
    digests = {inspected(name)["digest"] for name in (f"oci:{layout}", f"oci:{archive}", f"{registry.host}/archived")}
    assert len(digests) == 1


def test_an_archive_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "l", [BASE])
    archive = tmp_path / "new" / "image.tar"
    call("copy", f"oci:{layout}", f"oci-archive:{archive}")
    before = archive.read_bytes()
    for blob in (layout / "blobs/sha256").iterdir():
        if blob.stat().st_size > 600 or b"rootfs" not in blob.read_bytes():
            continue
        blob.write_bytes(b"{}")
    with pytest.raises(SourceError):
        call("copy", f"oci:{layout}", f"oci-archive:{archive}")
    assert archive.read_bytes() == before
    assert [path.name for path in archive.parent.iterdir()] == ["image.tar"]
    with pytest.raises(click.BadParameter, match="write oci-archive:"):
        call("copy", f"oci:{layout}", f"oci:{archive}")


def test_only_what_changed_is_sent(tmp_path: Path, registry: RegistryServer) -> None:
    one = write_layout(tmp_path / "one", [BASE])
    two = write_layout(tmp_path / "two", [BASE, MORE])
    call("copy", f"oci:{one}", f"{registry.host}/change:1")
    sent = call("copy", f"oci:{two}", f"{registry.host}/change:2").stderr
    assert sent.startswith("2 blobs"), "the upper layer and the config"
    before = len(registry.requests())
    assert call("copy", f"oci:{two}", f"{registry.host}/change:3").stderr.startswith("0 blobs")
    assert not [line for line in registry.requests()[before:] if "/blobs/" in line]


def test_between_repositories_of_one_registry_layers_are_mounted(tmp_path: Path, registry: RegistryServer) -> None:
    call("copy", f"oci:{write_layout(tmp_path / 'l', [BASE, MORE])}", f"{registry.host}/here:1")
    before = len(registry.requests())
    assert call("copy", f"{registry.host}/here:1", f"{registry.host}/there:1").stderr.startswith("0 blobs")
    asked = registry.requests()[before:]
    assert len([line for line in asked if "mount=" in line]) == 3
    assert not [line for line in asked if line.startswith(("GET /v2/here/blobs", "PUT /v2/there/blobs"))]


def test_only_some_platforms(tmp_path: Path, registry: RegistryServer) -> None:
    layout = write_layout(tmp_path / "l", [BASE], architectures=("amd64", "arm64", "s390x"))
    name = f"{registry.host}/narrow:1"
    call("copy", f"oci:{layout}", name, "--platform", "linux/arm64", "--platform", "linux/amd64")
    assert [image["platform"] for image in inspected(name)["images"]] == ["linux/arm64", "linux/amd64"]
    with pytest.raises(SourceError, match="no image for linux/riscv64"):
        call("copy", f"oci:{layout}", name, "--platform", "linux/riscv64")


def test_tags(tmp_path: Path, registry: RegistryServer) -> None:
    layout = write_layout(tmp_path / "l", [BASE])
    call("copy", f"oci:{layout}", f"{registry.host}/tagged:1.2.3")
    out = call("tag", f"{registry.host}/tagged:1.2.3", "1.2", "latest", f"{registry.host}/other/name:x").stdout
    digest = inspected(f"oci:{layout}")["digest"]
    assert [line.split()[1] for line in out.splitlines()] == [digest] * 3
    for name in ("tagged:1.2", "tagged", "other/name:x"):
        assert inspected(f"{registry.host}/{name}")["digest"] == digest
    call("tag", f"oci:{layout}", "second")
    assert inspected(f"oci:{layout}:second")["digest"] == inspected(f"oci:{layout}:latest")["digest"] == digest


def test_a_difference_by_layer_and_file(tmp_path: Path) -> None:
    one = write_layout(tmp_path / "one", [BASE])
    two = write_layout(tmp_path / "two", [BASE, MORE])
    result = call("diff", f"oci:{one}", f"oci:{two}")
    assert result.return_value == 1
    lines = result.stdout.splitlines()
    assert [line for line in lines if " file " in line] == [
        "~ file /etc/name (size 4 → 5)",
        "- file /etc/old",
        "+ file /new (4 bytes)",
    ]
    assert len([line for line in lines if line.startswith("+ layer sha256:")]) == 1
    found = json.loads(call("diff", f"oci:{one}", f"oci:{two}", "--format", "json").stdout)
    assert found["layers"]["common"] == 1
    assert found["files"][0] == {"path": "/etc/name", "what": "changed", "how": ["size 4 → 5"]}


def test_equal_images_do_not_differ_and_no_layer_is_read(tmp_path: Path) -> None:
    one = write_layout(tmp_path / "one", [BASE])
    for blob in (one / "blobs/sha256").iterdir():
        if blob.read_bytes()[:2] == b"\x1f\x8b":
            blob.unlink()
    result = call("diff", f"oci:{one}", f"oci:{one}")
    assert (result.return_value, result.stdout) == (0, "")


def test_a_difference_of_modes_links_and_configs(tmp_path: Path) -> None:
    one = write_layout(tmp_path / "one", [layer_tar({"a": b"1"})])
    two = write_layout(tmp_path / "two", [layer_tar({"a": b"2"}, mode=0o755)], architectures=("arm64",))
    text = call("diff", f"oci:{one}", f"oci:{two}").stdout
    assert "~ file /a (mode 0644 → 0755, content)" in text
    assert '~ config architecture: "amd64" → "arm64"' in text


def test_a_damaged_blob_is_never_passed_on(tmp_path: Path, registry: RegistryServer) -> None:
    layout = write_layout(tmp_path / "l", [BASE])
    blob = next(path for path in (layout / "blobs/sha256").iterdir() if path.read_bytes()[:2] == b"\x1f\x8b")
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(SourceError, match="is damaged"):
        call("copy", f"oci:{layout}", f"{registry.host}/damaged:1")
    with pytest.raises(SourceError, match="no such|404"):
        call("inspect", f"{registry.host}/damaged:1")


def test_the_verb_is_there_and_its_errors_are_no_tracebacks(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bakery.cli.main", "images", "inspect", f"oci:{tmp_path / 'nothing'}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "there is no OCI layout" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_platform_is_taken_out_of_indexes_in_an_index(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "l", [BASE], architectures=("amd64", "arm64"))
    index = json.loads((layout / "index.json").read_text())
    outer = oci.describe(json.dumps(index).encode(), oci.OCI_INDEX)
    (layout / "blobs/sha256" / outer.digest.partition(":")[2]).write_text(json.dumps(index))
    index["manifests"] = [oci.descriptor_fields(outer)]
    (layout / "index.json").write_text(json.dumps(index))
    call("copy", "--platform", "linux/arm64", f"oci:{layout}", f"oci:{tmp_path / 'one'}:1")
    assert [image["platform"] for image in inspected(f"oci:{tmp_path / 'one'}:1")["images"]] == ["linux/arm64"]


def test_an_image_with_too_many_documents_ends_in_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oci, "MAX_DOCUMENTS", 50)
    layout = write_layout(tmp_path / "l", [BASE], architectures=("amd64", "arm64"))
    index = json.loads((layout / "index.json").read_text())
    for _ in range(6):
        data = json.dumps(index | {"manifests": index["manifests"] * 8}).encode()
        described = oci.describe(data, oci.OCI_INDEX)
        (layout / "blobs/sha256" / described.digest.partition(":")[2]).write_bytes(data)
        index["manifests"] = [oci.descriptor_fields(described)]
    (layout / "index.json").write_text(json.dumps(index))
    for command in (["inspect", f"oci:{layout}"], ["copy", f"oci:{layout}", f"oci:{tmp_path / 'goal'}"]):
        with pytest.raises(SourceError, match="too much below it"):
            call(*command)
