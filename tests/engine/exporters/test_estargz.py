"""eStargz layers: ordinary gzipped tars for all, with each file to be found by the table at the end."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
import zlib

import pytest

from engine.digests import sha256
from engine.errors import ExportError
from engine.exporters.estargz import CHUNK, EstargzWriter

BIG = random.Random(1).randbytes(CHUNK) + b"the rest"


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in {"etc/": b"", "etc/name": b"one\n", "big": BIG, "empty": b"", "n" * 150: b"long"}.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mtime = 1_600_000_000
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "etc/name"
        archive.addfile(link)
    return out.getvalue()


def packed(data: bytes, step: int) -> tuple[bytes, EstargzWriter]:
    sink = io.BytesIO()
    writer = EstargzWriter(sink)
    for start in range(0, len(data), step):
        writer.write(data[start : start + step])
    writer.close()
    return sink.getvalue(), writer


def table(blob: bytes) -> dict:
    """The table of contents, found as a snapshotter finds it: by the footer."""
    footer = blob[-51:]
    assert footer[:4] == b"\x1f\x8b\x08\x04"
    assert footer[12:14] == b"SG"
    assert footer[32:38] == b"STARGZ"
    content = gzip.decompress(blob[int(footer[16:32], 16) :])
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        file = archive.extractfile("stargz.index.json")
        assert file is not None
        data = file.read()
    return json.loads(data) | {"digest": sha256(data)}


def test_to_others_it_is_the_same_layer_with_two_files_more() -> None:
    blob, writer = packed(tar(), 1 << 20)
    plain = gzip.decompress(blob)
    assert writer.diff_id == sha256(plain)
    assert writer.uncompressed == len(plain)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        names = archive.getnames()
        assert archive.extractfile("big").read() == BIG  # type: ignore[union-attr]
    assert names == [".no.prefetch.landmark", "etc", "etc/name", "big", "empty", "n" * 150, "link", "stargz.index.json"]


def test_each_piece_of_content_can_be_read_on_its_own() -> None:
    blob, writer = packed(tar(), 1 << 20)
    found = table(blob)
    assert found["digest"] == writer.toc_digest
    contents: dict[str, bytes] = {}
    for entry in found["entries"]:
        if "offset" not in entry:
            continue
        size = entry.get("chunkSize") or entry.get("size", 0)
        piece = zlib.decompressobj(31).decompress(blob[entry["offset"] :], size)
        assert sha256(piece) == entry["chunkDigest"]
        contents[entry["name"]] = contents.get(entry["name"], b"") + piece
    assert contents == {".no.prefetch.landmark": b"\x0f", "etc/name": b"one\n", "big": BIG, "n" * 150: b"long"}
    by_name = {entry["name"].rstrip("/"): entry for entry in found["entries"] if entry["type"] != "chunk"}
    assert by_name["big"]["digest"] == f"sha256:{hashlib.sha256(BIG).hexdigest()}"
    assert by_name["etc"]["type"] == "dir"
    assert by_name["link"] == by_name["link"] | {"type": "symlink", "linkName": "etc/name"}
    assert by_name["etc/name"]["modtime"] == "2020-09-13T12:26:40Z"


@pytest.mark.parametrize("step", [1, 511, 70_000])
def test_how_the_tar_comes_makes_no_difference(step: int) -> None:
    data = tar() if step > 1 else tar()[:1536] + bytes(1024)
    assert packed(data, step)[0] == packed(data, len(data))[0]


def test_a_tar_that_is_cut_off() -> None:
    with pytest.raises(ExportError, match="ended early"):
        packed(tar()[:3000], 512)
