"""The client against Debian's docker-registry, on good days and bad ones."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
import trio
import trustme
from support.faulty_proxy import Answer, Cut, CutUpload, Flip, Silence, Trick, faulty_proxy
from support.images import layer_tar, skopeo_copy, write_layout
from support.patience import PATIENCE
from support.registry_server import RegistryServer, free_port, registry_server

from engine import oci
from engine.blobs import BlobStore, CorruptBlob
from engine.digests import sha256
from engine.errors import RegistryError
from engine.registry.client import Registries
from engine.registry.credentials import CredentialStore
from engine.registry.retry import Patience
from engine.registry.settings import HostSettings, Mirror, RegistrySettings
from engine.state import State

QUICK = Patience(attempts=4, first=0.01, longest=0.05, silence=1.0, connect=2.0, asked=2.0)
BLOB = os.urandom(3 << 20)


def client(settings: RegistrySettings | None = None, environ: dict[str, str] | None = None) -> Registries:
    return Registries(settings or RegistrySettings(), CredentialStore(environ or {"DOCKER_CONFIG": "/none"}), QUICK)


T = TypeVar("T")


def run(work: Callable[[Registries], Awaitable[T]], registries: Registries | None = None) -> T:
    async def main() -> T:
        with trio.fail_after(PATIENCE):
            async with registries or client() as opened:
                return await work(opened)

    return trio.run(main)


async def push(registries: Registries, name: str, data: bytes = BLOB) -> oci.Descriptor:
    blob = oci.describe(data, "application/octet-stream")
    await registries.push_blob(name, blob, lambda: io.BytesIO(data))
    return blob


async def pull(registries: Registries, name: str, blob: oci.Descriptor) -> bytes:
    return b"".join([piece async for piece in registries.blob(name, blob)])


def push_image(registry: RegistryServer, folder: Path, name: str, content: bytes = b"hello") -> bytes:
    layout = write_layout(folder / name, [layer_tar({"file": content})])
    skopeo_copy(f"oci:{layout}:latest", f"docker://{registry.host}/{name}:1")
    return (layout / "index.json").read_bytes()


def test_reads_what_skopeo_pushed_and_skopeo_reads_what_we_pushed(registry: RegistryServer, tmp_path: Path) -> None:
    push_image(registry, tmp_path, "team/theirs")

    async def copy(registries: Registries) -> None:
        source, target = f"{registry.host}/team/theirs:1", f"{registry.host}/team/ours:2"
        found, data = await registries.manifest(source)
        assert found.digest == sha256(data)
        assert await registries.head(source) == found
        manifest = oci.parse_document(data)
        assert isinstance(manifest, oci.Manifest)
        for blob in (manifest.config, *manifest.layers):
            content = await pull(registries, source, blob)
            await registries.push_blob(target, blob, lambda content=content: io.BytesIO(content))  # type: ignore[misc]
        assert await registries.push_manifest(target, data, found.media_type) == found

    run(copy)
    skopeo_copy(f"docker://{registry.host}/team/ours:2", f"dir:{tmp_path / 'back'}")


def test_a_blob_that_is_there_is_neither_read_nor_sent(registry: RegistryServer) -> None:
    async def story(registries: Registries) -> None:
        blob = await push(registries, f"{registry.host}/once")
        before = len(registry.requests())
        assert not await registries.push_blob(f"{registry.host}/once", blob, lambda: pytest.fail("was read"))
        other = f"{registry.host}/other"
        mounted = await registries.push_blob(
            other, blob, lambda: pytest.fail("was read"), mount_from=f"{registry.host}/once"
        )
        assert not mounted
        assert await registries.has_blob(other, blob.digest)
        assert not any(r.startswith(("PUT", "PATCH")) for r in registry.requests()[before:])

    run(story)


def test_an_image_that_is_not_there_is_a_clear_error(registry: RegistryServer) -> None:
    with pytest.raises(
        RegistryError, match=r"cannot read the manifest of .*/nobody:latest: localhost:\d+ answered 404"
    ) as caught:
        run(lambda registries: registries.manifest(f"{registry.host}/nobody"))
    assert "check the name" in caught.value.hint


def test_a_registry_that_is_not_there_is_named_with_what_was_tried() -> None:
    host = f"localhost:{free_port()}"
    with pytest.raises(RegistryError, match=rf"{host} cannot be reached \(tried http://{host}\)") as caught:
        run(lambda registries: registries.head(f"{host}/app"))
    assert "network" in caught.value.hint


def test_basic_login_from_docker_config(tmp_path: Path) -> None:
    with registry_server(tmp_path / "registry", auth=True) as registry:
        name = f"{registry.host}/private/app"
        with pytest.raises(RegistryError, match="answered 401") as caught:
            run(lambda registries: push(registries, name))
        assert f"docker login {registry.host}" in caught.value.hint
        auth = base64.b64encode(b"tester:secret").decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))

        async def story(registries: Registries) -> bytes:
            return await pull(registries, name, await push(registries, name))

        assert run(story, client(environ={"DOCKER_CONFIG": str(tmp_path)})) == BLOB
        helper = tmp_path / "docker-credential-fake"
        helper.write_text('#!/bin/sh\ncat >/dev/null\necho \'{"Username":"tester","Secret":"secret"}\'\n')
        helper.chmod(0o755)
        (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {registry.host: "fake"}}))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
            blob = oci.describe(BLOB, "")
            assert run(lambda r: pull(r, name, blob), client(environ={"DOCKER_CONFIG": str(tmp_path)})) == BLOB


def test_tls_needs_a_ca_that_we_are_told_of(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with registry_server(
        tmp_path / "registry", certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem"
    ) as registry:

        async def story(registries: Registries) -> bytes:
            name = f"{registry.host}/app"
            return await pull(registries, name, await push(registries, name))

        trusting = RegistrySettings({registry.host: HostSettings(ca=tmp_path / "ca.pem")})
        assert run(story, client(trusting)) == BLOB
        careless = RegistrySettings({registry.host: HostSettings(insecure=True)})
        assert run(story, client(careless)) == BLOB
        with pytest.raises(RegistryError, match="certificate is not trusted") as caught:
            run(story)
        assert "ca = " in caught.value.hint


@pytest.mark.parametrize(
    "tricks",
    [
        [Cut(0)],
        [Cut(100), Cut(100)],
        [Cut(1 << 20), Cut(1 << 20), Cut(3 << 19)],
        [Answer("500 Oops"), Answer("503 Later", "Retry-After: 0\r\n")],
        [Answer("429 Too Many Requests", "Retry-After: 1\r\n")],
        [Answer("401 Unauthorized")],
        [Silence()],
        [Flip(2 << 20)],
        [Cut(1 << 20), Flip(1 << 20)],
    ],
    ids=str,
)
def test_a_blob_comes_whole_through_a_bad_line(
    registry: RegistryServer, tmp_path: Path, tricks: Sequence[Trick]
) -> None:
    blob = run(lambda registries: push(registries, f"{registry.host}/bad/line"))
    state = State.open(tmp_path)
    store = BlobStore(state)
    with faulty_proxy(registry.port, tricks) as proxy:
        run(lambda registries: registries.fetch_blob_to(store, f"{proxy.host}/bad/line", blob))
        assert proxy.connections >= len(tricks)
    assert store.read(blob.digest, 1 << 30) == BLOB
    assert not list(state.work.iterdir())


@pytest.mark.parametrize("trick", [Cut(10), Answer("500 Oops"), Answer("401 Unauthorized"), Silence()], ids=str)
def test_a_line_that_stays_bad_ends_in_an_error(registry: RegistryServer, tmp_path: Path, trick: Trick) -> None:
    blob = run(lambda registries: push(registries, f"{registry.host}/bad/line"))
    state = State.open(tmp_path)
    with (
        faulty_proxy(registry.port, [trick] * 100) as proxy,
        pytest.raises(RegistryError, match=f"localhost:{proxy.port}"),
    ):
        run(lambda registries: registries.fetch_blob_to(BlobStore(state), f"{proxy.host}/bad/line", blob))
    assert not list(state.work.iterdir())


def test_bytes_that_are_always_wrong_are_never_kept(registry: RegistryServer, tmp_path: Path) -> None:
    blob = run(lambda registries: push(registries, f"{registry.host}/bad/line"))
    store = BlobStore(State.open(tmp_path))
    with faulty_proxy(registry.port, [Flip(1 << 20, 1 << 20)] * 100) as proxy, pytest.raises(CorruptBlob):
        run(lambda registries: registries.fetch_blob_to(store, f"{proxy.host}/bad/line", blob))
    assert not store.has(blob.digest)


def test_a_manifest_with_a_wrong_byte_is_asked_for_again(registry: RegistryServer, tmp_path: Path) -> None:
    push_image(registry, tmp_path, "flipped")
    found, data = run(lambda registries: registries.manifest(f"{registry.host}/flipped:1"))
    with faulty_proxy(registry.port, [Flip(700)]) as proxy:
        name = f"{proxy.host}/flipped@{found.digest}"
        assert run(lambda registries: registries.manifest(name)) == (found, data)


@pytest.mark.parametrize(
    "tricks",
    [
        [CutUpload(0)],
        [None, CutUpload(1 << 20)],
        [CutUpload(1 << 20), CutUpload(2 << 20), CutUpload(1 << 20)],
        [Answer("500 Oops"), None],
        [Cut(10), Cut(10)],
    ],
    ids=str,
)
def test_an_upload_goes_on_after_a_cut(registry: RegistryServer, tricks: Sequence[Trick]) -> None:
    data = os.urandom(4 << 20)
    with faulty_proxy(registry.port, tricks) as proxy:
        blob = run(lambda registries: push(registries, f"{proxy.host}/up", data))
    assert registry.blob_path(blob.digest).read_bytes() == data


def test_a_mirror_is_asked_first_and_the_registry_if_it_fails(registry: RegistryServer, tmp_path: Path) -> None:
    push_image(registry, tmp_path, "hub/library/tool")
    dead = Mirror(f"localhost:{free_port()}")
    settings = RegistrySettings({"docker.io": HostSettings(mirrors=(dead, Mirror(registry.host, "hub")))})
    found, _ = run(lambda registries: registries.manifest("tool:1"), client(settings))
    assert found.media_type == oci.OCI_MANIFEST


def test_a_retry_after_too_long_is_not_waited_for(registry: RegistryServer) -> None:
    tricks = [Answer("429 Too Many Requests", "Retry-After: 3600\r\n")] * 9
    with faulty_proxy(registry.port, tricks) as proxy, pytest.raises(RegistryError, match="429") as caught:
        run(lambda registries: registries.head(f"{proxy.host}/app"))
    assert "limits how often" in caught.value.hint


def test_what_comes_one_after_the_other_shares_a_connection(registry: RegistryServer) -> None:
    async def story(registries: Registries) -> None:
        for content in (b"one", b"two"):
            blob = await push(registries, name, content)
            assert await registries.has_blob(name, blob.digest)
            assert await pull(registries, name, blob) == content

    with faulty_proxy(registry.port, []) as proxy:
        name = f"{proxy.host}/sharing"
        run(story)
        assert proxy.connections == 1
