"""Cache mounts that travel with a cache: what a step kept there is there for the next machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.in_process import Built, Workplace
from tests.support.object_servers import actions_server, actions_token
from tests.support.recorded_caches import read_config, recorded_busybox

pytestmark = pytest.mark.root

RUN = "RUN --mount=type=cache,id=kept,target=/kept "
WRITES = "FROM busybox\n" + RUN + "mkdir -p /kept/a && echo one > /kept/a/b && ln -s a/b /kept/link && echo done > /d\n"
READS = "FROM busybox\n" + RUN + "cat /kept/link > /found || echo nothing > /found\n"


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded_busybox(tmp_path_factory.mktemp("busybox") / "layout")


@pytest.fixture
def place(tmp_path: Path, busybox: Path) -> Workplace:
    place = Workplace(tmp_path / "project", tmp_path / "root")
    target = {"contexts": {"busybox": f"oci-layout://{busybox}:1.35"}, "output": ["type=local,dest=out"]}
    place.write("docker-bake.json", json.dumps({"target": {"default": target}}))
    place.write("Dockerfile", WRITES)
    return place


def build(place: Workplace, *entries: str) -> Built:
    return place.build_well(overrides=tuple(f"*.{entry}" for entry in entries))


def read_elsewhere(place: Workplace, *entries: str) -> str:
    place.write("Dockerfile", READS)
    build(Workplace(place.folder, place.root.parent / "elsewhere", place.environ), *entries)
    return (place.folder / "out" / "found").read_text()


def test_a_cache_mount_goes_along_where_that_is_asked_for(place: Workplace, tmp_path: Path) -> None:
    build(place, f"cache-to=type=local,dest={tmp_path}/cache,mounts=true")
    assert [mount["cache"] for mount in read_config(tmp_path / "cache")["bakery.mounts"]] == ["/kept"]
    assert read_elsewhere(place, f"cache-from=type=local,src={tmp_path}/cache") == "one\n"


def test_it_stays_at_home_where_it_is_not(place: Workplace, tmp_path: Path) -> None:
    build(place, f"cache-to=type=local,dest={tmp_path}/cache")
    assert "bakery.mounts" not in read_config(tmp_path / "cache")
    assert read_elsewhere(place, f"cache-from=type=local,src={tmp_path}/cache") == "nothing\n"


def test_it_is_fetched_only_when_a_step_wants_it_and_never_over_one_that_is_there(
    place: Workplace, tmp_path: Path
) -> None:
    build(place, f"cache-to=type=local,dest={tmp_path}/cache,mode=max,mounts=true")
    other = Workplace(place.folder, tmp_path / "elsewhere", place.environ)
    source = f"cache-from=type=local,src={tmp_path}/cache"
    hit = build(other, source)
    assert not any("importing cache mount" in name for name in hit.names.values())
    place.write("Dockerfile", "FROM busybox\n" + RUN + "echo mine > /kept/link\n")
    first = build(other)
    assert first.ran
    place.write("Dockerfile", READS)
    build(other, source)
    assert (place.folder / "out" / "found").read_text() == "mine\n"


def test_one_that_cannot_be_had_is_empty(place: Workplace, tmp_path: Path) -> None:
    build(place, f"cache-to=type=local,dest={tmp_path}/cache,mounts=true")
    digest = read_config(tmp_path / "cache")["bakery.mounts"][0]["blob"]
    (tmp_path / "cache" / "blobs" / "sha256" / digest[7:]).write_bytes(b"something else")
    assert read_elsewhere(place, f"cache-from=type=local,src={tmp_path}/cache") == "nothing\n"


def test_it_travels_through_an_object_service_and_is_kept_by_those_who_do_not_have_it(place: Workplace) -> None:
    with actions_server() as server:
        entry = f"type=gha,url_v2={server.url},token={actions_token(('main', 3))}"
        build(place, f"cache-to={entry},mounts=true")
        build(Workplace(place.folder, place.root.parent / "third"), f"cache-to={entry}")
        assert read_elsewhere(place, f"cache-from={entry}") == "one\n"
