"""Cache configs: BuildKit's are read and written back byte for byte, what makes no sense is refused with a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cache.remote import config as cache_config
from engine.cache.remote.config import CacheConfig, MalformedCache, config_bytes, parse_config, parse_inline
from engine.digests import sha256

PEER = Path(__file__).parents[3] / "data" / "peer_cache"
BLOB = sha256(b"a layer")
KEY = sha256(b"a key")


def peer_config(name: str) -> bytes:
    index = json.loads((PEER / name / "index.json").read_text())
    manifest = blob(name, index["manifests"][0]["digest"])
    every = [manifest.get("config"), *manifest.get("manifests", ())]
    digest = next(item["digest"] for item in every if item and item["mediaType"] == cache_config.MEDIA_TYPE)
    return (PEER / name / "blobs" / "sha256" / digest[7:]).read_bytes()


def blob(name: str, digest: str) -> Any:
    return json.loads((PEER / name / "blobs" / "sha256" / digest[7:]).read_bytes())


def config_of(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize("name", ["max", "index"])
def test_a_config_of_buildkit_is_written_as_it_was_read(name: str) -> None:
    data = peer_config(name)
    assert config_bytes(parse_config(data)) == data


def test_an_absent_parent_is_the_first_layer() -> None:
    config = parse_config(config_of(layers=[{"blob": BLOB, "parent": -1}, {"blob": sha256(b"two")}]))
    assert config.chain(1) == (0, 1)
    assert config.chain(0) == (0,)


def test_a_result_that_is_no_simple_chain_is_written_as_one_of_its_own() -> None:
    data = config_of(
        layers=[{"blob": BLOB, "parent": -1}, {"blob": sha256(b"two"), "parent": -1}],
        records=[{"chains": [{"layers": [0, 1], "createdAt": "2026-01-02T03:04:05Z"}], "digest": KEY}],
    )
    config = parse_config(data)
    assert config.records[0].results[0].layers == (0, 1)
    assert json.loads(config_bytes(config)) == json.loads(data)


def test_an_images_records_name_its_layers_by_position() -> None:
    records = [{"layers": [{"layer": 1, "createdAt": "2026-01-02T03:04:05Z"}], "digest": KEY}]
    config = parse_inline(json.dumps(records).encode(), [BLOB, sha256(b"two")])
    assert config.records[0].results[0].layers == (0, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is list, not dict"),
        (b"[" * 100_000, "is not JSON"),
        (config_of(layers=[{"blob": "../../etc/passwd"}]), "malformed"),
        (config_of(layers=[{"blob": BLOB, "parent": 7}]), "has no layer 7 as its parent"),
        (config_of(layers=[{"blob": BLOB, "parent": True}]), "is bool, not int"),
        (
            config_of(layers=[{"blob": BLOB, "parent": 1}, {"blob": KEY, "parent": 0}]),
            "layers of the cache lead back to themselves",
        ),
        (config_of(layers=[{"blob": BLOB}]), "layers of the cache lead back to themselves"),
        (config_of(records=[{"digest": KEY, "inputs": [[{"link": 0}]]}]), "records of the cache lead back"),
        (config_of(records=[{"digest": KEY, "inputs": [[{"link": 3}]]}]), "names record 3 of 1"),
        (config_of(records=[{"digest": KEY, "inputs": [[{"link": -1}]]}]), "names record -1 of 1"),
        (config_of(records=[{"digest": KEY, "inputs": [[]]}]), "an input that can be nothing"),
        (config_of(records=[{"digest": KEY, "layers": [{"layer": 0}]}]), "names layer 0 of 0"),
        (config_of(records=[{"digest": "md5:1"}]), "malformed"),
        (config_of(records=["x"]), "is str, not dict"),
        (
            config_of(
                layers=[{"blob": BLOB, "parent": -1}], records=[{"digest": KEY, "layers": [{"createdAt": "today"}]}]
            ),
            "not a time",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(MalformedCache, match=message):
        parse_config(data)


def test_what_is_too_big_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_config, "MAX_CONFIG", 100)
    with pytest.raises(MalformedCache, match="more than the 100 allowed"):
        parse_config(config_of(records=[{"digest": KEY}] * 10))
    monkeypatch.setattr(cache_config, "MAX_CONFIG", 1 << 20)
    monkeypatch.setattr(cache_config, "MAX_RECORDS", 5)
    with pytest.raises(MalformedCache, match="10 records, more than the 5 allowed"):
        parse_config(config_of(records=[{"digest": KEY}] * 10))


def test_a_long_chain_of_layers_is_refused_and_nothing_recurses(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [{"blob": sha256(str(n).encode()), "parent": n - 1} for n in range(5000)]
    data = config_of(layers=layers, records=[{"digest": KEY, "layers": [{"layer": 4999}]}])
    with pytest.raises(MalformedCache, match="5000 layers, more than the 1000 allowed"):
        parse_config(data)
    links = [{"digest": KEY, "inputs": [[{"link": n - 1}]]} if n else {"digest": KEY} for n in range(5000)]
    assert len(parse_config(config_of(records=links)).records) == 5000


def test_an_empty_config_is_one() -> None:
    assert parse_config(b"{}") == CacheConfig()
    assert config_bytes(CacheConfig()) == b"{}"
