"""What a generator image leaves behind, sound or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.attestations.sbom.bundle import read_bundle
from engine.errors import ExportError
from engine.snapshots.overlay_format import OverlayFormat
from engine.snapshots.tree import LayeredTree

FORM = OverlayFormat("user.overlay.")
TYPE = "https://spdx.dev/Document"


def bundle(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_the_statement_about_the_result_comes_first_and_keys_are_sorted(tmp_path: Path) -> None:
    extra = {"predicateType": TYPE, "predicate": {"b": [{"d": 1, "c": 2}], "a": None}}
    mine = {"predicateType": TYPE, "predicate": {}, "subject": [{"name": "", "digest": {"sha256": "00"}}]}
    found = read_bundle(LayeredTree([bundle(tmp_path, a_json=extra, sbom_spdx_json=mine)], FORM))
    assert [item.filename for item in found] == ["sbom.spdx.json", "a.json"]
    assert json.dumps(found[1].predicate) == '{"a": null, "b": [{"c": 2, "d": 1}]}'
    about = b'"subject":[{"name":"_","digest":{"sha256":"00"}}]'
    assert about in found[0].encoded([{"name": "the image", "digest": {}}])
    assert b'"subject":[{"name":"the image"' in found[1].encoded([{"name": "the image", "digest": {}}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}, "not the predicate type"),
        ({"predicateType": TYPE, "predicate": []}, "no in-toto statement"),
        ({"predicateType": TYPE, "predicate": {}, "subject": ["x"]}, "no in-toto statement"),
        ([], "no in-toto statement"),
        ("{} {}", "no JSON"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_statement_about_packages_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        read_bundle(LayeredTree([bundle(tmp_path, sbom_json=content)], FORM))


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sbom.json").symlink_to("/etc/hostname")
    with pytest.raises(ExportError, match="no regular file"):
        read_bundle(LayeredTree([tmp_path], FORM))


def test_a_statement_that_is_too_long_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "sbom.json").open("wb") as file:
        file.truncate((40 << 20) + 1)
    with pytest.raises(ExportError, match="more than the 41943040 allowed"):
        read_bundle(LayeredTree([tmp_path], FORM))
