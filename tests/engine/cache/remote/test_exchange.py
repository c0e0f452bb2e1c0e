"""Caches given and taken by real builds: in folders, in a real registry, in images; and what happens when it fails."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trio

from engine import oci
from engine.cache.remote import registry as registry_place
from engine.digests import Digest, sha256
from engine.errors import DefinitionError, EngineError, UnsupportedError
from engine.events import Warned
from engine.registry.client import Registries
from engine.registry.reference import Reference
from tests.support.in_process import Built, Workplace
from tests.support.registry_server import RegistryServer, registry_server

PEER = Path(__file__).parents[3] / "data" / "peer_cache"
DOCKERFILE = """FROM scratch AS made
COPY one /one
COPY two /two
FROM scratch
COPY --from=made /two /result
COPY three /three
"""
STEPS = ["COPY --from=made /two /result", "COPY one /one", "COPY three /three", "COPY two /two"]


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path / "project", tmp_path / "root")
    place.write("Dockerfile", DOCKERFILE)
    for name in ("one", "two", "three"):
        place.write(name, f"{name}\n")
    place.write("docker-bake.json", json.dumps({"target": {"default": {"output": ["type=cacheonly"]}}}))
    return place


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        yield server


def elsewhere(place: Workplace, name: str = "elsewhere") -> Workplace:
    """The same project on another machine."""
    return Workplace(place.folder, place.root.parent / name, place.environ)


def warnings(built: Built) -> list[str]:
    return [event.short for event in built.events if isinstance(event, Warned)]


def caches(**entries: str) -> tuple[str, ...]:
    return tuple(f"*.{key.replace('_', '-')}={entry}" for key, entry in entries.items())


def test_a_cache_in_a_folder_saves_another_machine_all_work(place: Workplace, tmp_path: Path) -> None:
    first = place.build_well(overrides=caches(cache_to=f"type=local,dest={tmp_path}/cache,mode=max"))
    assert first.ran == STEPS
    second = elsewhere(place).build_well(
        overrides=(*caches(cache_from=f"type=local,src={tmp_path}/cache"), "*.output=type=local,dest=out")
    )
    assert second.ran == []
    assert (place.folder / "out" / "result").read_text() == "two\n"
    assert f"importing cache manifest from {tmp_path}/cache" in second.started


def test_what_is_known_here_needs_no_cache(place: Workplace, tmp_path: Path) -> None:
    place.build_well()
    again = place.build_well(overrides=caches(cache_from=f"type=local,src={tmp_path}/nowhere"))
    assert not any("importing" in name for name in again.names.values())
    assert warnings(again) == []


def test_a_small_cache_holds_the_result_and_the_keys_of_what_it_was_made_of(place: Workplace, tmp_path: Path) -> None:
    place.build_well(overrides=caches(cache_to=f"type=local,dest={tmp_path}/cache"))
    second = elsewhere(place).build_well(overrides=caches(cache_from=f"type=local,src={tmp_path}/cache"))
    assert second.ran == []
    place.write("three", "drei\n")
    third = elsewhere(place, "third").build_well(overrides=caches(cache_from=f"type=local,src={tmp_path}/cache"))
    assert third.ran == ["COPY three /three"]


def test_content_that_is_the_same_in_spite_of_what_made_it_is_a_hit(place: Workplace, tmp_path: Path) -> None:
    place.build_well(overrides=caches(cache_to=f"type=local,dest={tmp_path}/cache"))
    place.write("one", "eins\n")
    second = elsewhere(place).build_well(overrides=caches(cache_from=f"type=local,src={tmp_path}/cache"))
    assert second.ran == ["COPY one /one", "COPY two /two"], "what is copied out of them is what it was"


def test_layers_of_a_registrys_cache_come_when_somebody_reads_them(place: Workplace, registry: RegistryServer) -> None:
    ref = f"{registry.host}/cache:lazy"
    place.build_well(overrides=caches(cache_to=f"type=registry,ref={ref},mode=max"))
    before = len(registry.requests())
    lazy = elsewhere(place)
    assert lazy.build_well(overrides=caches(cache_from=f"type=registry,ref={ref}")).ran == []
    asked = registry.requests()[before:]
    assert len([line for line in asked if line.startswith("GET") and "/blobs/" in line]) == 1, "the config alone"
    again = lazy.build_well(overrides=("*.output=type=local,dest=out",))
    assert again.ran == []
    assert (place.folder / "out" / "three").read_text() == "three\n"
    assert len([line for line in registry.requests()[before:] if line.startswith("GET") and "/blobs/" in line]) == 3


def test_layers_that_are_gone_from_a_cache_are_made_anew(place: Workplace, registry: RegistryServer) -> None:
    ref = f"{registry.host}/cache:gone"
    for name in ("one", "two", "three"):
        place.write(name, f"{name} that will be gone\n")
    place.build_well(overrides=caches(cache_to=f"type=registry,ref={ref},mode=max"))
    lazy = elsewhere(place)
    lazy.build_well(overrides=caches(cache_from=f"type=registry,ref={ref}"))
    for blob in json.loads(registry.blob_path(manifest_of(registry, "cache", "gone")).read_text())["layers"]:
        registry.blob_path(blob["digest"]).unlink()
    again = lazy.build_well(overrides=("*.output=type=local,dest=out",))
    assert (place.folder / "out" / "result").read_text() == "two that will be gone\n"
    assert again.ran == STEPS
    assert not any("importing" in name for name in again.names.values())


def manifest_of(registry: RegistryServer, repository: str, tag: str) -> str:
    """The digest of a manifest, as the server has it on its disk."""
    link = registry.folder / f"docker/registry/v2/repositories/{repository}/_manifests/tags/{tag}/current/link"
    return link.read_text().strip()


@pytest.mark.parametrize(
    "form",
    ["image-manifest=false", "oci-mediatypes=false", "compression=zstd,force-compression=true", "compression-level=9"],
)
def test_every_form_of_a_cache_is_read_again(form: str, place: Workplace, registry: RegistryServer) -> None:
    ref = f"{registry.host}/cache:{form.partition('=')[0]}"
    place.build_well(overrides=caches(cache_to=f"type=registry,ref={ref},mode=max,{form}"))
    second = elsewhere(place).build_well(
        overrides=(*caches(cache_from=f"type=registry,ref={ref}"), "*.output=type=local,dest=out")
    )
    assert second.ran == []
    assert (place.folder / "out" / "result").read_text() == "two\n"


def test_an_image_carries_its_cache(place: Workplace, registry: RegistryServer) -> None:
    ref = f"{registry.host}/app:inline"
    place.build_well(overrides=(*caches(cache_to="type=inline"), "*.output=type=registry", f"*.tags={ref}"))
    second = elsewhere(place).build_well(
        overrides=(*caches(cache_from=f"type=registry,ref={ref}"), "*.output=type=local,dest=out")
    )
    assert second.ran == []
    place.write("three", "drei\n")
    assert elsewhere(place, "third").build_well(overrides=caches(cache_from=f"type=registry,ref={ref}")).ran == [
        "COPY three /three"
    ]


@pytest.mark.parametrize(("epoch", "carried"), [("1", False), ("", True)])
def test_an_image_with_rewritten_times_carries_none(
    place: Workplace, tmp_path: Path, epoch: str, carried: bool
) -> None:
    place.build_well(
        overrides=(
            *caches(cache_to="type=inline"),
            f"*.output=type=oci,dest={tmp_path}/image,tar=false,rewrite-timestamp=true,source-date-epoch={epoch}",
        )
    )
    blobs = [path.read_bytes() for path in (tmp_path / "image" / "blobs" / "sha256").iterdir()]
    assert any(b"moby.buildkit.cache.v0" in data for data in blobs) is carried


def test_targets_and_builds_that_export_to_one_place_are_one_cache(place: Workplace, registry: RegistryServer) -> None:
    ref = f"{registry.host}/cache:together"
    to, source = [f"type=registry,ref={ref},mode=max"], [f"type=registry,ref={ref}"]
    targets = {
        name: {"args": {}, "target": name, "cache-to": to, "output": ["type=cacheonly"]} for name in ("a", "b", "c")
    }
    place.write("Dockerfile", "".join(f"FROM scratch AS {name}\nCOPY one /{name}\n" for name in targets))
    place.write("docker-bake.json", json.dumps({"target": targets}))
    first = place.build_well("a", "b")
    assert len([name for name in first.names.values() if "exporting cache" in name]) == 1
    elsewhere(place, "another job").build_well("c")
    for target in targets.values():
        target["cache-from"] = source
    place.write("docker-bake.json", json.dumps({"target": targets}))
    assert elsewhere(place, "later").build_well("a", "b", "c").ran == []


def test_jobs_that_write_at_the_same_time_all_are_in_the_cache(tmp_path: Path) -> None:
    jobs = [Workplace(tmp_path / f"project-{number}", tmp_path / f"root-{number}") for number in range(4)]
    for number, job in enumerate(jobs):
        job.write("Dockerfile", f"FROM scratch\nCOPY file /of-{number}\n")
        job.write("file", "the same\n")
        job.write("docker-bake.json", json.dumps({"target": {"default": {"output": ["type=cacheonly"]}}}))

    def export(job: Workplace) -> None:
        job.build_well(overrides=caches(cache_to=f"type=local,dest={tmp_path}/cache"))

    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(export, jobs))
    for job in jobs:
        again = elsewhere(job, f"{job.folder.name} again")
        assert again.build_well(overrides=caches(cache_from=f"type=local,src={tmp_path}/cache")).ran == []


def test_jobs_that_look_before_any_of_them_has_written_to_a_registry_all_are_in_the_cache(
    tmp_path: Path, registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All look, then all write: the last one's cache stands there, and the others notice."""
    jobs = [Workplace(tmp_path / f"project-{number}", tmp_path / f"root-{number}") for number in range(3)]
    for number, job in enumerate(jobs):
        job.write("Dockerfile", f"FROM scratch\nCOPY file /of-{number}\n")
        job.write("file", "the same\n")
        job.write("docker-bake.json", json.dumps({"target": {"default": {"output": ["type=cacheonly"]}}}))
    looked, written = threading.Barrier(len(jobs)), threading.Barrier(len(jobs))
    met = threading.local()
    send, wait = registry_place._Push.manifest, registry_place.wait_for_others

    async def sending(push: registry_place._Push) -> None:
        if not getattr(met, "looked", False):
            met.looked = True
            looked.wait(300)
        await send(push)

    async def waiting(took: float) -> None:
        if not getattr(met, "written", False):
            met.written = True
            written.wait(300)
        await wait(took)

    monkeypatch.setattr(registry_place._Push, "manifest", sending)
    monkeypatch.setattr(registry_place, "wait_for_others", waiting)
    ref = f"{registry.host}/cache:together"

    def export(job: Workplace) -> None:
        job.build_well(overrides=caches(cache_to=f"type=registry,ref={ref}"))

    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(export, jobs))
    for job in jobs:
        again = elsewhere(job, f"{job.folder.name} again")
        assert again.build_well(overrides=caches(cache_from=f"type=registry,ref={ref}")).ran == []


def test_a_job_whose_write_takes_long_finds_what_came_and_went_meanwhile(
    tmp_path: Path, registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow one has looked; another job writes, looks again, and ends; then the slow one's manifest arrives."""
    jobs = [Workplace(tmp_path / f"project-{name}", tmp_path / f"root-{name}") for name in ("slow", "quick")]
    for job in jobs:
        job.write("Dockerfile", f"FROM scratch\nCOPY file /of-{job.folder.name}\n")
        job.write("file", "the same\n")
        job.write("docker-bake.json", json.dumps({"target": {"default": {"output": ["type=cacheonly"]}}}))
    slow, quick = jobs
    to = caches(cache_to=f"type=registry,ref={registry.host}/cache:slow")
    send, look = registry_place._Push.manifest, Registries.pushed
    sent: list[registry_place._Push] = []
    seen_while_sending = trio.Event()
    slows = threading.current_thread()

    async def sending(push: registry_place._Push) -> None:
        sent.append(push)
        if push is sent[0]:
            await trio.to_thread.run_sync(lambda: quick.build_well(overrides=to))
            with trio.fail_after(300):
                await seen_while_sending.wait()
        await send(push)

    async def looking(registries: Registries, reference: Reference) -> Digest | None:
        there = await look(registries, reference)
        if there and threading.current_thread() is slows:
            seen_while_sending.set()
        return there

    async def not_waiting(took: float) -> None:
        pass

    monkeypatch.setattr(registry_place._Push, "manifest", sending)
    monkeypatch.setattr(Registries, "pushed", looking)
    monkeypatch.setattr(registry_place, "wait_for_others", not_waiting)
    slow.build_well(overrides=to)
    assert len(sent) == 3, "one of the quick job, two of the slow one"
    for job in jobs:
        again = elsewhere(job, f"{job.folder.name} again")
        source = caches(cache_from=f"type=registry,ref={registry.host}/cache:slow")
        assert again.build_well(overrides=source).ran == []


def test_what_is_no_cache_is_written_over(place: Workplace, registry: RegistryServer) -> None:
    ref = f"{registry.host}/cache:image"
    place.build_well(overrides=("*.output=type=registry", f"*.tags={ref}"))
    place.build_well(overrides=caches(cache_to=f"type=registry,ref={ref}"))
    assert elsewhere(place).build_well(overrides=caches(cache_from=f"type=registry,ref={ref}")).ran == []


def test_without_merging_the_last_one_wins(place: Workplace, tmp_path: Path) -> None:
    place.build_well(overrides=caches(cache_to=f"type=local,dest={tmp_path}/cache,mode=max"))
    place.write("Dockerfile", "FROM scratch\nCOPY one /other\n")
    elsewhere(place).build_well(overrides=caches(cache_to=f"type=local,dest={tmp_path}/cache,mode=max,merge=false"))
    place.write("Dockerfile", DOCKERFILE)
    later = elsewhere(place, "later").build_well(overrides=caches(cache_from=f"type=local,src={tmp_path}/cache"))
    assert later.ran == STEPS


def test_a_folder_holds_caches_by_tag(place: Workplace, tmp_path: Path) -> None:
    place.build_well(overrides=caches(cache_to=f"type=local,dest={tmp_path}/cache,tag=main"))
    other = place.build(overrides=caches(cache_to=f"type=local,dest={tmp_path}/cache,tag=branch"))
    assert not other.result.failed
    index = json.loads((tmp_path / "cache" / "index.json").read_text())
    assert [entry["annotations"][oci.REF_NAME] for entry in index["manifests"]] == ["main", "branch"]
    digest = index["manifests"][0]["digest"]
    for meant in ("tag=main", f"digest={digest}"):
        there = elsewhere(place, meant).build_well(
            overrides=caches(cache_from=f"type=local,src={tmp_path}/cache,{meant}")
        )
        assert there.ran == []
    built = elsewhere(place, "none").build_well(overrides=caches(cache_from=f"type=local,src={tmp_path}/cache"))
    assert built.ran == STEPS
    assert warnings(built) == [f'no cache from {tmp_path}/cache: there is no cache "latest" in {tmp_path}/cache']


def test_a_cache_that_cannot_be_had_is_told_and_done_without(place: Workplace, registry: RegistryServer) -> None:
    built = place.build_well(overrides=caches(cache_from=f"type=registry,ref={registry.host}/cache:nothing"))
    assert built.ran == STEPS
    (warning,) = warnings(built)
    assert warning.startswith(f"no cache from {registry.host}/cache:nothing: ")


@pytest.mark.parametrize("damage", [b"{}", b"not JSON", b'{"records":[{"digest":"sha256:x"}]}'])
def test_a_cache_that_makes_no_sense_is_told_and_done_without(damage: bytes, place: Workplace, tmp_path: Path) -> None:
    place.build_well(overrides=caches(cache_to=f"type=local,dest={tmp_path}/cache"))
    index = json.loads((tmp_path / "cache" / "index.json").read_text())
    blobs = tmp_path / "cache" / "blobs" / "sha256"
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    (blobs / sha256(damage)[7:]).write_bytes(damage)
    manifest["config"] |= {"digest": sha256(damage), "size": len(damage)}
    data = json.dumps(manifest).encode()
    (blobs / sha256(data)[7:]).write_bytes(data)
    index["manifests"][0] |= {"digest": sha256(data), "size": len(data)}
    (tmp_path / "cache" / "index.json").write_text(json.dumps(index))
    built = elsewhere(place).build_well(overrides=caches(cache_from=f"type=local,src={tmp_path}/cache"))
    assert built.ran == STEPS
    assert bool(warnings(built)) == (damage != b"{}")


def test_a_failed_export_is_the_targets_failure_unless_that_is_to_be_ignored(place: Workplace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    to = f"type=local,dest={tmp_path}/file/cache"
    failed = place.build(overrides=caches(cache_to=to)).result.targets["default"]
    assert isinstance(failed.error, EngineError)
    assert "Not a directory" in str(failed.error)
    built = place.build_well(overrides=caches(cache_to=f"{to},ignore-error=true"))
    assert any("exporting cache to client directory failed" in warning for warning in warnings(built))


def test_a_step_to_be_done_anew_takes_nothing_from_a_cache(place: Workplace, tmp_path: Path) -> None:
    place.build_well(overrides=caches(cache_to=f"type=local,dest={tmp_path}/cache,mode=max"))
    built = elsewhere(place).build_well(overrides=caches(cache_from=f"type=local,src={tmp_path}/cache"), no_cache=True)
    assert built.ran == STEPS


@pytest.mark.parametrize("name", ["max", "index", "inline"])
def test_a_cache_of_buildkit_saves_all_work(name: str, tmp_path: Path) -> None:
    """Its base image has no layers there: whoever read one would fail."""
    place = Workplace(tmp_path / "project", tmp_path / "root")
    shutil.copytree(PEER / "context", place.folder)
    for path in place.folder.iterdir():
        path.chmod(0o644)
    target = {
        "contexts": {"localhost:5000/busybox:1.35": f"oci-layout://{PEER}/busybox"},
        "cache-from": [f"type=local,src={PEER / name}"],
        "output": ["type=cacheonly"],
    }
    place.write("docker-bake.json", json.dumps({"target": {"default": target}}))
    assert place.build_well().ran == []


@pytest.mark.parametrize(
    ("key", "entry", "message"),
    [
        ("cache_to", "type=registry", "a cache of type registry needs ref"),
        ("cache_to", "type=local,dest=x,mode=most", 'is min or max, not "most"'),
        ("cache_to", "type=local,dest=x,mod=max", 'unknown attribute "mod" of a cache of type local'),
        ("cache_to", "type=local,dest=x,compression=lzma", 'unknown compression "lzma"'),
        ("cache_to", "type=local,dest=x,image-manifest=true,oci-mediatypes=false", "cannot be an image"),
        ("cache_to", "type=tape,dest=x", 'unknown type of cache "tape"'),
        ("cache_from", "type=inline", "an inline cache lies in its image"),
        ("cache_from", "type=local,src=x,digest=md5:1", "not a sha256 digest"),
        ("cache_from", "type=azblob,name=x", "type=azblob are not supported"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(key: str, entry: str, message: str, place: Workplace) -> None:
    with pytest.raises((DefinitionError, UnsupportedError), match=message):
        place.build(overrides=caches(**{key: entry}))
