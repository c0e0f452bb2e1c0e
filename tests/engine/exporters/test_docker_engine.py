"""Images straight into a Docker engine that is far away: over TLS, each side showing the other a certificate."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
import trio

from engine.errors import ExportError
from engine.exporters.destination import Output
from engine.exporters.docker_context import engine_address
from engine.exporters.docker_engine import load, loaded_image
from tests.support.docker_engine import docker_engine_behind_tls


def test_an_engine_behind_tls_takes_an_archive_and_tells_of_it(tmp_path: Path) -> None:
    archive = docker_archive("app:1")
    with docker_engine_behind_tls(tmp_path) as (engine, host):
        variables = {"DOCKER_HOST": host, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
        address = engine_address("", variables)

        async def story() -> str:
            await load(address, lambda output: write(output, archive))
            return await loaded_image(address, "app:1")

        assert trio.run(story) == "sha256:" + 64 * "0"
    assert engine.archives == [archive]


def test_without_certificates_there_is_a_word_about_them(tmp_path: Path) -> None:
    variables = {"DOCKER_HOST": "tcp://localhost:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path / "no")}
    with pytest.raises(ExportError, match="cannot use the certificates of the Docker engine") as caught:
        trio.run(loaded_image, engine_address("", variables), "app:1")
    assert "DOCKER_CERT_PATH" in caught.value.hint


def test_an_engine_of_another_authority_is_not_spoken_to(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    other.mkdir()
    with docker_engine_behind_tls(mine), docker_engine_behind_tls(other) as (engine, host):
        variables = {"DOCKER_HOST": host, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(mine)}
        address = engine_address("", variables)
        with pytest.raises(ExportError, match="cannot load into the Docker engine"):
            trio.run(load, address, lambda output: write(output, b"archive"))
    assert engine.archives == []


def docker_archive(name: str) -> bytes:
    manifest = json.dumps([{"Config": "blobs/sha256/" + 64 * "0", "RepoTags": [name], "Layers": []}]).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(manifest)
        tar.addfile(info, io.BytesIO(manifest))
    return out.getvalue()


def write(output: Output, data: bytes) -> None:
    output.write(data)
