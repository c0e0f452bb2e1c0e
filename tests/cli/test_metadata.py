import json
import os
from base64 import b64encode
from pathlib import Path

import pytest
from support.build_story import digest

from bakery.cli.metadata import metadata, write_metadata
from bakery.diagnostics import BakeryError
from engine.errors import ExitError
from engine.events import Warned
from engine.request import BuildResult, Outcome, TargetResult

DESCRIPTOR = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 480}


def result(**metadata: str) -> BuildResult:
    return BuildResult({"app": TargetResult("app", Outcome.SUCCEEDED, metadata)})


ENDED = {"bakery.outcome": "succeeded", "bakery.seconds": 0.0, "bakery.steps": 0, "bakery.hits": 0}


def test_descriptors_are_objects_however_they_travelled() -> None:
    text = json.dumps(DESCRIPTOR)
    for value in (text, b64encode(text.encode()).decode()):
        found = result(**{"containerimage.descriptor": value, "containerimage.digest": "sha256:1"})
        assert metadata(found) == {
            "app": {**ENDED, "containerimage.descriptor": DESCRIPTOR, "containerimage.digest": "sha256:1"}
        }


def test_warnings_are_in_the_file_where_they_are_wanted(tmp_path: Path) -> None:
    write_metadata(tmp_path / "meta.json", result(a="1"), [Warned(digest(1), "short")])
    assert json.loads((tmp_path / "meta.json").read_text()) == {
        "app": {**ENDED, "a": "1"},
        "buildx.build.warnings": [{"vertex": digest(1), "level": 1, "short": "c2hvcnQ="}],
    }


def test_what_is_no_object_stays_a_text() -> None:
    found = metadata(result(**{"containerimage.descriptor": "?"}))
    assert found == {"app": {**ENDED, "containerimage.descriptor": "?"}}


def test_the_file_is_written_whole_with_ordinary_rights(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        write_metadata(tmp_path / "meta.json", result(a="1"))
    finally:
        os.umask(mask)
    assert json.loads((tmp_path / "meta.json").read_text()) == {"app": {**ENDED, "a": "1"}}
    assert (tmp_path / "meta.json").stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["meta.json"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match=r"--metadata-file: .*none/meta\.json: no such file or directory"):
        write_metadata(tmp_path / "none" / "meta.json", result())


def test_how_the_step_ended_that_a_target_failed_with(tmp_path: Path) -> None:
    error = ExitError("make", 139, log_path=tmp_path / "step.log")
    found = metadata(BuildResult({"app": TargetResult("app", Outcome.FAILED, error=error)}))["app"]
    assert found["bakery.exitCode"] == 139
    assert found["bakery.signal"] == "SIGSEGV"
    assert found["bakery.log"] == str(tmp_path / "step.log")
