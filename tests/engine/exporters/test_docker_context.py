"""The Docker engine that images go into is the one that docker's own command would use: its contexts are read."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.errors import ExportError
from engine.exporters.docker_context import engine_address
from engine.exporters.docker_engine import load, loaded_image
from tests.engine.exporters.test_docker_engine import docker_archive, write
from tests.support.docker_engine import docker_engine, docker_engine_behind_tls


def add_context(configuration: Path, name: str, **endpoint: Any) -> Path:
    """As `docker context create` writes it; the folder for its certificates."""
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = configuration / "contexts" / "meta" / key
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    certificates = configuration / "contexts" / "tls" / key / "docker"
    certificates.mkdir(parents=True)
    return certificates


def choose(configuration: Path, name: str) -> None:
    (configuration / "config.json").write_text(json.dumps({"currentContext": name}))


def test_what_is_named_nearest_counts(tmp_path: Path) -> None:
    for name in ("configured", "of-variable", "of-output"):
        add_context(tmp_path, name, Host=f"tcp://{name}:2375")
    choose(tmp_path, "configured")
    variables = {"DOCKER_CONFIG": str(tmp_path)}
    assert engine_address("", variables).url == "tcp://configured:2375"
    variables["DOCKER_CONTEXT"] = "of-variable"
    assert engine_address("", variables).url == "tcp://of-variable:2375"
    variables["DOCKER_HOST"] = "tcp://host:2375"
    assert engine_address("", variables).url == "tcp://host:2375"
    assert engine_address("of-output", variables).url == "tcp://of-output:2375"
    assert engine_address("default", variables).url == "tcp://host:2375"


def test_an_image_goes_into_the_engine_of_a_context_by_its_socket(tmp_path: Path) -> None:
    add_context(tmp_path, "mine", Host=f"unix://{tmp_path / 'engine.sock'}")
    choose(tmp_path, "mine")
    archive = docker_archive("app:1")
    with docker_engine(tmp_path / "engine.sock") as engine:
        address = engine_address("", {"DOCKER_CONFIG": str(tmp_path)})
        trio.run(load, address, lambda output: write(output, archive))
    assert engine.archives == [archive]


def test_a_context_brings_its_certificates(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    with docker_engine_behind_tls(keys) as (engine, host):
        certificates = add_context(tmp_path, "far", Host=host, SkipTLSVerify=False)
        for name in ("ca.pem", "cert.pem", "key.pem"):
            shutil.copy(keys / name, certificates)
        address = engine_address("far", {"DOCKER_CONFIG": str(tmp_path)})
        trio.run(load, address, lambda output: write(output, docker_archive("app:1")))
        assert trio.run(loaded_image, address, "app:1")
        (certificates / "ca.pem").unlink()
        stranger = engine_address("far", {"DOCKER_CONFIG": str(tmp_path)})
        with pytest.raises(ExportError, match="cannot load"):
            trio.run(load, stranger, lambda output: write(output, b"archive"))
    assert len(engine.archives) == 1


def test_a_context_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    add_context(tmp_path, "mine", Host="tcp://mine:1")
    with pytest.raises(ExportError, match="there is no such context") as caught:
        engine_address("your", {"DOCKER_CONFIG": str(tmp_path)})
    assert "known are default, mine" in caught.value.hint


def test_an_engine_behind_ssh_is_refused_with_its_context(tmp_path: Path) -> None:
    add_context(tmp_path, "far", Host="ssh://me@far")
    with pytest.raises(ExportError, match="cannot load into ssh://me@far") as caught:
        engine_address("far", {"DOCKER_CONFIG": str(tmp_path)})
    assert "docker's context far" in caught.value.hint
