"""`bakery images sign` and `verify`, against a real registry, with keys of openssl's and of cosign's forms."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from bakery.cli.images import images
from engine import oci
from engine.errors import UnsupportedError
from engine.imagetools.keys import KeyFault
from engine.imagetools.signing import SIGNATURE, UnsignedError
from tests.support.images import layer_tar, skopeo_copy, write_layout
from tests.support.registry_server import RegistryServer, registry_server

COSIGN = json.loads((Path(__file__).parents[1] / "data" / "cosign.json").read_bytes())


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
def image(registry: RegistryServer, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """An image of two platforms, in a repository of its own."""
    name = f"{registry.host}/{request.node.originalname.replace('_', '-')}:1"
    layout = write_layout(tmp_path / "l", [layer_tar({"a": name.encode()})], architectures=("amd64", "arm64"))
    skopeo_copy(f"oci:{layout}:latest", f"docker://{name}")
    return name


def key_pair(folder: Path, name: str, key: Any = None, password: bytes = b"") -> Path:
    """A private key in a file, and its public half beside it."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    how = BestAvailableEncryption(password) if password else NoEncryption()
    (folder / name).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)
    return folder / name


def call(*arguments: object, environ: dict[str, str] | None = None) -> Result:
    result = CliRunner().invoke(images, [str(a) for a in arguments], standalone_mode=False, env=environ)
    if result.exception:
        raise result.exception
    return result


def signatures(registry: RegistryServer, image: str, digest: str) -> list[tuple[dict[str, Any], bytes]]:
    """The layers under the tag of the signatures of an image, with their content."""
    repository = image.partition("/")[2].partition(":")[0]
    tag = digest.replace(":", "-") + ".sig"
    link = registry.folder / f"docker/registry/v2/repositories/{repository}/_manifests/tags/{tag}/current/link"
    manifest = json.loads(registry.blob_path(link.read_text()).read_bytes())
    assert manifest["mediaType"] == oci.OCI_MANIFEST
    return [(layer, registry.blob_path(layer["digest"]).read_bytes()) for layer in manifest["layers"]]


def test_a_signature_is_where_cosign_looks_for_it_and_says_what_cosign_says(
    registry: RegistryServer, image: str, tmp_path: Path
) -> None:
    key = key_pair(tmp_path, "key")
    name, _, digest = call("sign", "--key", key, "-a", "b=<2>", "-a", "a=1", image).stdout.strip().partition("@")
    assert name == image.removesuffix(":1")
    ((layer, payload),) = signatures(registry, image, digest)
    assert layer["mediaType"] == "application/vnd.dev.cosign.simplesigning.v1+json"
    # As sigstore's own library writes it.
    critical = f'{{"identity":{{"docker-reference":"{name}"}},"image":{{"docker-manifest-digest":"{digest}"}},'
    critical += '"type":"cosign container image signature"}'
    assert payload.decode() == f'{{"critical":{critical},"optional":{{"a":"1","b":"\\u003c2\\u003e"}}}}'
    public = load_pem_public_key((tmp_path / "key.pub").read_bytes())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(base64.b64decode(layer["annotations"][SIGNATURE]), payload, ec.ECDSA(SHA256()))
    assert call("verify", "--key", f"{key}.pub", "-a", "a=1", image).stdout.strip() == payload.decode()


def test_many_may_sign_and_nobody_twice(registry: RegistryServer, image: str, tmp_path: Path) -> None:
    one, two, three = (key_pair(tmp_path, name) for name in ("one", "two", "three"))
    for key in (one, two, one):
        digest = call("sign", "--key", key, image).stdout.strip().partition("@")[2]
    assert len(signatures(registry, image, digest)) == 2
    for key in (one, two):
        assert call("verify", "--key", f"{key}.pub", f"{image}@{digest}").stdout.count("\n") == 1
    with pytest.raises(UnsignedError, match="no signature by this key; it has 2"):
        call("verify", "--key", f"{three}.pub", image)
    with pytest.raises(UnsignedError, match="that makes these claims"):
        call("verify", "--key", f"{one}.pub", "-a", "version=2", image)


def test_the_images_of_an_index_are_signed_where_that_is_wanted(image: str, tmp_path: Path) -> None:
    key, repository = key_pair(tmp_path, "key"), image.removesuffix(":1")
    below = [found["digest"] for found in json.loads(call("inspect", "--format", "json", image).stdout)["images"]]
    digest = call("sign", "--key", key, image).stdout.strip().partition("@")[2]
    for one in below:
        with pytest.raises(UnsignedError, match="is not signed"):
            call("verify", "--key", f"{key}.pub", f"{repository}@{one}")
    call("sign", "--key", key, "--recursive", image)
    for one in (digest, *below):
        assert one in call("verify", "--key", f"{key}.pub", f"{repository}@{one}").stdout


def test_a_signature_is_good_for_its_image_only(registry: RegistryServer, image: str, tmp_path: Path) -> None:
    key, repository = key_pair(tmp_path, "key"), image.removesuffix(":1")
    digest = call("sign", "--key", key, image).stdout.strip().partition("@")[2]
    layout = write_layout(tmp_path / "other", [layer_tar({"b": b"other"})])
    other = call("copy", f"oci:{layout}", f"{repository}:2").stdout.strip()
    with pytest.raises(UnsignedError, match="is not signed"):
        call("verify", "--key", f"{key}.pub", f"{repository}:2")
    source, goal = (f"{repository}:{d.replace(':', '-')}.sig" for d in (digest, other))
    call("copy", source, goal)
    with pytest.raises(UnsignedError, match="no signature by this key"):
        call("verify", "--key", f"{key}.pub", f"{repository}:2")


def test_a_key_of_cosigns_is_opened_with_its_password(image: str, tmp_path: Path) -> None:
    pytest.importorskip("nacl")
    (tmp_path / "cosign.key").write_text(COSIGN["private"])
    (tmp_path / "cosign.pub").write_text(COSIGN["public"])
    password = {"COSIGN_PASSWORD": COSIGN["password"]}
    said = call("sign", "--key", tmp_path / "cosign.key", image, environ=password)
    assert COSIGN["password"] not in said.output
    call("verify", "--key", tmp_path / "cosign.pub", image)
    with pytest.raises(KeyFault, match="the password is wrong"):
        call("sign", "--key", tmp_path / "cosign.key", image, environ={"COSIGN_PASSWORD": "guessed"})
    with pytest.raises(click.UsageError, match="COSIGN_PASSWORD"):
        call("sign", "--key", tmp_path / "cosign.key", image)


def test_what_is_missing_for_keys_of_cosigns_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nacl.exceptions", None)
    (tmp_path / "cosign.key").write_text(COSIGN["private"])
    with pytest.raises(UnsupportedError, match="PyNaCl") as caught:
        call("sign", "--key", tmp_path / "cosign.key", "localhost:1/app")
    assert "bakery-bake[sign]" in caught.value.hint


def test_a_key_may_be_in_a_variable_or_encrypted_in_pem(image: str, tmp_path: Path) -> None:
    plain, closed = key_pair(tmp_path, "plain"), key_pair(tmp_path, "closed", password=b"tell nobody")
    call("sign", "--key", "env://MY_KEY", image, environ={"MY_KEY": plain.read_text()})
    call("sign", "--key", closed, image, environ={"COSIGN_PASSWORD": "tell nobody"})
    for key in (plain, closed):
        call("verify", "--key", f"{key}.pub", image)
    with pytest.raises(KeyFault, match="its password is wrong"):
        call("sign", "--key", closed, image, environ={"COSIGN_PASSWORD": "no"})
    with pytest.raises(click.BadParameter, match=r"nothing in \$NOWHERE"):
        call("sign", "--key", "env://NOWHERE", image)


def test_keys_that_cannot_be_used_are_told_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no key")
    weak = key_pair(tmp_path, "rsa", rsa.generate_private_key(65537, 2048))
    other = key_pair(tmp_path, "p384", ec.generate_private_key(ec.SECP384R1()))
    for verb, key, said in (
        ("sign", tmp_path / "text", "no private key in PEM"),
        ("sign", weak, "none for ECDSA on the curve P-256"),
        ("sign", other, "none for ECDSA on the curve P-256"),
        ("verify", tmp_path / "text", "no public key in PEM"),
        ("verify", f"{weak}.pub", "none for ECDSA on the curve P-256"),
        ("verify", key_pair(tmp_path, "mine"), "no public key in PEM"),
    ):
        with pytest.raises(KeyFault, match=said):
            call(verb, "--key", key, "localhost:1/app")
    with pytest.raises(click.BadParameter, match="No such file"):
        call("sign", "--key", tmp_path / "nowhere", "localhost:1/app")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kdf": {"name": "scrypt", "params": {"N": 1 << 30, "r": 8, "p": 1}, "salt": ""}}, "too much memory"),
        ({"kdf": {"name": "scrypt", "params": {"N": -1, "r": 8, "p": 1}, "salt": ""}}, "damaged"),
        ({"kdf": {"name": "none", "params": {"N": 2, "r": 8, "p": 1}, "salt": ""}}, "not known here"),
        ({"cipher": None}, "damaged"),
    ],
)
def test_what_an_encrypted_key_asks_for_is_not_believed(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    pytest.importorskip("nacl")
    form = {
        "kdf": {"name": "scrypt", "params": {"N": 2, "r": 8, "p": 1}, "salt": ""},
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(bytes(24)).decode()},
        "ciphertext": "",
    }
    text = base64.b64encode(json.dumps(form | change).encode()).decode()
    kind = "ENCRYPTED SIGSTORE PRIVATE KEY"
    (tmp_path / "key").write_text(f"-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
    with pytest.raises(KeyFault, match=said):
        call("sign", "--key", tmp_path / "key", "localhost:1/app", environ={"COSIGN_PASSWORD": ""})


def test_layouts_and_claims_that_are_none_are_told(tmp_path: Path) -> None:
    key = key_pair(tmp_path, "key")
    with pytest.raises(click.BadParameter, match="kept in registries"):
        call("sign", "--key", key, "oci:folder")
    with pytest.raises(click.BadParameter, match="not KEY=VALUE"):
        call("sign", "--key", key, "-a", "version", "localhost:1/app")
