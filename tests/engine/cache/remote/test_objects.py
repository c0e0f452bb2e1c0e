"""Caches in a bucket and in the cache of GitHub Actions: BuildKit's names, lazy layers, jobs that work together."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.cache.remote import objects as places
from engine.digests import sha256
from engine.errors import DefinitionError, UnsupportedError
from engine.events import Warned
from engine.objects import gha
from engine.objects.signature import EMPTY, Keys, signed
from tests.support.in_process import Built, Workplace
from tests.support.object_servers import (
    ACCESS,
    REGION,
    SECRET,
    Actions,
    Objects,
    actions_server,
    actions_token,
    s3_server,
)

DOCKERFILE = "FROM scratch\nCOPY one /one\nCOPY two /two\n"
STEPS = ["COPY one /one", "COPY two /two"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_RESULTS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    place = Workplace(tmp_path / "project", tmp_path / "root")
    place.write("Dockerfile", DOCKERFILE)
    place.write("one", "one\n")
    place.write("two", "two\n")
    place.write("docker-bake.json", json.dumps({"target": {"default": {"output": ["type=cacheonly"]}}}))
    return place


def elsewhere(place: Workplace, name: str = "elsewhere") -> Workplace:
    return Workplace(place.folder, place.root.parent / name, place.environ)


def build(place: Workplace, *entries: str) -> Built:
    return place.build_well(overrides=tuple(f"*.{entry}" for entry in entries))


def bucket(server: Objects, **more: str) -> str:
    given = {"bucket": "store", "region": REGION, "endpoint_url": server.url, "use_path_style": "true"}
    keys = {"access_key_id": ACCESS, "secret_access_key": SECRET}
    return ",".join(f"{key}={value}" for key, value in {"type": "s3", **given, **keys, **more}.items())


def test_a_signature_is_that_of_the_specifications_example() -> None:
    """ "Example: GET Object" of "Authenticating Requests: Using the Authorization Header" in the S3 API reference."""
    headers = signed(
        "GET",
        "examplebucket.s3.amazonaws.com",
        "/test.txt",
        Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        "us-east-1",
        EMPTY,
        {"range": "bytes=0-9"},
        1369353600.0,
    )
    assert headers["authorization"].endswith(
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_a_cache_in_a_bucket_has_buildkits_names_and_is_lazy(place: Workplace) -> None:
    with s3_server() as server:
        assert build(place, f"cache-to={bucket(server, prefix='a/', name='main;more', mode='max')}").ran == STEPS
        names = sorted(server.objects)
        assert [n for n in names if "/blobs/" in n] == [n for n in names if n.startswith("/store/a/blobs/sha256:")]
        assert [n for n in names if "/manifests/" in n] == ["/store/a/manifests/main", "/store/a/manifests/more"]
        config = json.loads(server.objects["/store/a/manifests/main"])
        assert {"mediaType", "diffID", "size", "createdAt"} == set(config["layers"][0]["annotations"])
        other = elsewhere(place)
        assert build(other, f"cache-from={bucket(server, prefix='a/', name='main')}").ran == []
        assert server.count("GET", "/blobs/") == 0
        assert (
            build(other, f"cache-from={bucket(server, prefix='a/', name='main')}", "output=type=local,dest=o").ran == []
        )
        assert server.count("GET", "/blobs/") == 2
        assert (place.folder / "o" / "two").read_text() == "two\n"
        assert SECRET.encode() not in b"".join(path.read_bytes() for path in other.root.glob("state.db*"))


def test_keys_come_from_the_environment_too(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server() as server:
        entry = bucket(server).replace(f",access_key_id={ACCESS},secret_access_key={SECRET}", "")
        with pytest.raises(DefinitionError, match="no credentials for the s3 cache"):
            build(place, f"cache-to={entry}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        assert build(place, f"cache-to={entry}").ran == STEPS
        assert server.count("PUT", "/manifests/buildkit") == 1


def test_what_is_in_a_bucket_is_not_sent_again_but_kept_young(place: Workplace) -> None:
    with s3_server() as server:
        build(place, f"cache-to={bucket(server)}")
        first = server.count("PUT", "/blobs/")
        build(elsewhere(place), f"cache-from={bucket(server)}", f"cache-to={bucket(server)}")
        assert server.count("PUT", "/blobs/") == first
        server.modified = {key: when - 25 * 3600 for key, when in server.modified.items()}
        build(elsewhere(place), f"cache-to={bucket(server)}")
        assert server.count("PUT", "/blobs/") == 2 * first, "each is touched once"
        assert all(time.time() - when < 3600 for when in server.modified.values())


@pytest.mark.parametrize("before", ["nothing", "a cache"])
def test_a_job_that_wrote_to_a_bucket_meanwhile_is_merged_with(
    before: str, place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has read what is there; another one comes and goes; then the first one writes."""
    with s3_server() as server:
        if before == "a cache":
            place.write("Dockerfile", "FROM scratch\nCOPY one /before\n")
            build(place, f"cache-to={bucket(server)}")
        quick = Workplace(place.folder.parent / "quick", place.root.parent / "quick-root")
        for name in ("one", "docker-bake.json"):
            quick.write(name, (place.folder / name).read_bytes())
        quick.write("Dockerfile", "FROM scratch\nCOPY one /quick\n")
        write_layers, others = places._write_layers, [quick]

        async def writing(*args: Any) -> bytes:
            if others:
                other = others.pop()
                await trio.to_thread.run_sync(lambda: build(other, f"cache-to={bucket(server)}"))
            return await write_layers(*args)

        monkeypatch.setattr(places, "_write_layers", writing)
        place.write("Dockerfile", DOCKERFILE)
        build(place, f"cache-to={bucket(server)}")
        for job in (quick, place):
            assert build(elsewhere(job, f"{job.root.name} again"), f"cache-from={bucket(server)}").ran == []


def test_a_bucket_that_takes_no_conditions_is_written_without(place: Workplace) -> None:
    with s3_server() as server:
        server.conditional = False
        build(place, f"cache-to={bucket(server)}")
        assert build(elsewhere(place), f"cache-from={bucket(server)}").ran == []


def test_a_bucket_that_has_a_bad_moment_is_asked_again(place: Workplace) -> None:
    with s3_server() as server:
        server.fail_next = 2
        assert build(place, f"cache-to={bucket(server)}").ran == STEPS


def test_a_refusal_shows_the_buckets_own_words(place: Workplace) -> None:
    with s3_server() as server:
        wrong = bucket(server).replace(SECRET, "wrong")
        failed = place.build(overrides=(f"*.cache-to={wrong}",)).result.targets["default"]
        assert "the bucket store answers 403" in str(failed.error)
        built = build(elsewhere(place), f"cache-from={wrong}")
        assert built.ran == STEPS
        assert any("no cache from s3://store" in event.short for event in built.events if isinstance(event, Warned))


def actions(server: Actions, *scopes: tuple[str, int], **more: str) -> str:
    given = {"type": "gha", "url_v2": server.url, "token": actions_token(*(scopes or (("refs/heads/main", 3),)))}
    return ",".join(f"{key}={value}" for key, value in {**given, **more}.items())


def index(branch: str, scope: str = "buildkit") -> str:
    return f"index-{scope}-1-{sha256(branch.encode())[7:15]}"


def test_a_cache_of_actions_has_buildkits_names_and_is_lazy(place: Workplace) -> None:
    with actions_server() as server:
        assert build(place, f"cache-to={actions(server, mode='max')}").ran == STEPS
        blobs = [name for name in server.objects if name.startswith("buildkit-blob-1-sha256:")]
        assert sorted(server.objects) == sorted([*blobs, f"{index('refs/heads/main')}#1"])
        assert len(blobs) == 2
        other = elsewhere(place)
        assert build(other, f"cache-from={actions(server)}").ran == []
        assert server.count("GET", "/blob/buildkit-blob") == 0
        assert build(other, f"cache-from={actions(server)}", "output=type=local,dest=o").ran == []
        assert server.count("GET", "/blob/buildkit-blob") == 2


def test_a_branch_reads_what_its_base_wrote_and_writes_its_own(place: Workplace) -> None:
    with actions_server() as server:
        build(place, f"cache-to={actions(server)}")
        branch = actions(server, ("refs/heads/main", 1), ("refs/heads/topic", 3))
        place.write("two", "zwei\n")
        built = build(elsewhere(place), f"cache-from={branch}", f"cache-to={branch}")
        assert built.ran == ["COPY two /two"]
        assert f"{index('refs/heads/topic')}#1" in server.objects
        assert f"{index('refs/heads/main')}#2" not in server.objects


def test_each_writing_has_the_next_number_and_holds_what_was_there(place: Workplace) -> None:
    with actions_server() as server:
        build(place, f"cache-to={actions(server)}")
        place.write("Dockerfile", "FROM scratch\nCOPY one /other\n")
        build(elsewhere(place), f"cache-to={actions(server)}")
        assert f"{index('refs/heads/main')}#2" in server.objects
        place.write("Dockerfile", DOCKERFILE)
        assert build(elsewhere(place, "third"), f"cache-from={actions(server)}").ran == []


def test_outside_of_a_job_the_cache_of_actions_is_left_alone(place: Workplace) -> None:
    built = build(place, "cache-from=type=gha", "cache-to=type=gha")
    assert built.ran == STEPS
    assert not any(word in name for name in built.names.values() for word in ("importing", "Actions"))


def test_a_job_that_died_while_writing_is_passed_over(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "PAUSE", 0.0)
    with actions_server() as server:
        server.reserved.add(f"{index('refs/heads/main')}#1")
        build(place, f"cache-to={actions(server)}")
        assert f"{index('refs/heads/main')}#2" in server.objects


def test_what_is_big_goes_in_blocks(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gha, "BLOCK", 64)
    with actions_server() as server:
        build(place, f"cache-to={actions(server)}")
        assert server.count("PUT", "comp=blocklist") >= 3
        assert build(elsewhere(place), f"cache-from={actions(server)}", "output=type=local,dest=o").ran == []


@pytest.mark.parametrize(
    ("entry", "kind", "message"),
    [
        ("type=s3,region=x", DefinitionError, "a cache of type s3 needs bucket"),
        ("type=s3,bucket=x,region=y,endpoint_url=nowhere", DefinitionError, "must be a URL"),
        ("type=gha,token=x,url=http://x/,version=1", UnsupportedError, "only version 2"),
        ("type=gha,token=x,url_v2=http://x/", DefinitionError, "is not one of a job"),
    ],
)
def test_what_is_not_said_is_asked_for(
    entry: str, kind: type[Exception], message: str, place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_BUCKET", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(kind, match=message):
        place.build(overrides=(f"*.cache-to={entry}",))
