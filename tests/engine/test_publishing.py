"""Images of several targets that are to be published together: all are sent before the first one gets its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from support.in_process import Workplace
from support.registry_server import RegistryServer, registry_server

from engine.request import OnError, Outcome

BAKE = """
group "default" {{ targets = ["one", "two"] }}
target "one" {{
  args = {{ NAME = "one" }}
  output = ["type=image,name={one},push=true{more}", "type=oci,dest=one.tar"]
}}
target "two" {{
  args = {{ NAME = "two" }}
  output = ["type=image,name={two},push=true{more}"]
}}
"""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """A registry that lets nobody in."""
    with registry_server(tmp_path_factory.mktemp("closed"), auth=True) as server:
        yield server


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryServer]:
    with registry_server(tmp_path / "registry") as server:
        yield server


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path / "project", tmp_path / "root", {"DOCKER_CONFIG": str(tmp_path)})
    place.write("Dockerfile", "FROM scratch\nARG NAME\nCOPY $NAME /\n")
    place.write("one", "1")
    place.write("two", "2")
    return place


def has(registry: RegistryServer, name: str) -> bool:
    """Whether a registry has an image of that name."""
    accepted = {"Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"}
    repository, _, tag = name.partition(":")
    try:
        with urlopen(Request(f"http://{registry.host}/v2/{repository}/manifests/{tag}", headers=accepted)):
            return True
    except HTTPError as error:
        if error.code != 404:
            raise
        return False


def outcomes(place: Workplace, on_error: OnError) -> dict[str, Outcome]:
    return {name: t.outcome for name, t in place.build(on_error=on_error).result.targets.items()}


@pytest.mark.parametrize("more", ["", ",registry.insecure=true"])
def test_no_image_has_its_name_before_all_are_sent(place: Workplace, registry: RegistryServer, more: str) -> None:
    one, two = f"{registry.host}/one:1", f"{registry.host}/two:1"
    place.write("docker-bake.hcl", BAKE.format(one=one, two=two, more=more))

    built = place.build_well(on_error=OnError.PUBLISH_ALL_OR_NOTHING)

    asked = registry.requests()
    named = [n for n, request in enumerate(asked) if request.startswith("PUT") and request.endswith("/manifests/1")]
    sent = [n for n, request in enumerate(asked) if "/blobs/" in request or "/manifests/sha256:" in request]
    assert len(named) == 2
    assert max(sent) < min(named)
    assert has(registry, "one:1")
    assert has(registry, "two:1")
    assert built.started.count("naming pushed images") == 2
    again = place.build_well(on_error=OnError.PUBLISH_ALL_OR_NOTHING)
    assert again.started == [], "what has its name already needs none"


def test_where_one_push_fails_no_image_gets_a_name(
    place: Workplace, registry: RegistryServer, closed: RegistryServer
) -> None:
    one, two = f"{registry.host}/one:1", f"{closed.host}/two:1"
    place.write("docker-bake.hcl", BAKE.format(one=one, two=two, more=""))

    built = place.build(on_error=OnError.PUBLISH_ALL_OR_NOTHING).result.targets

    assert {name: t.outcome for name, t in built.items()} == {"one": Outcome.CANCELLED, "two": Outcome.FAILED}
    assert str(built["one"].error) == "pushed images get no names, for the target two failed"
    assert "image.name" not in built["one"].metadata
    assert not has(registry, "one:1")

    place.write("docker-bake.hcl", BAKE.format(one=one, two=f"{registry.host}/two:1", more=""))
    again = place.build_well(on_error=OnError.PUBLISH_ALL_OR_NOTHING)
    assert again.ran == []
    assert has(registry, "one:1")
    assert has(registry, "two:1")


def test_where_another_output_fails_no_image_gets_a_name(place: Workplace, registry: RegistryServer) -> None:
    one, two = f"{registry.host}/one:1", f"{registry.host}/two:1"
    place.write("docker-bake.hcl", BAKE.format(one=one, two=two, more=""))
    (place.folder / "one.tar").symlink_to(place.folder / "gone" / "one.tar")

    found = outcomes(place, OnError.PUBLISH_ALL_OR_NOTHING)

    assert found == {"one": Outcome.FAILED, "two": Outcome.CANCELLED}
    assert not has(registry, "one:1")
    assert not has(registry, "two:1")


def test_a_target_without_names_to_give_has_nothing_withheld(
    place: Workplace, registry: RegistryServer, closed: RegistryServer
) -> None:
    one, two = f"{registry.host}/one:1", f"{closed.host}/two:1"
    bake = BAKE.format(one=one, two=two, more="")
    place.write("docker-bake.hcl", bake.replace(f'"type=image,name={one},push=true", ', ""))

    found = outcomes(place, OnError.PUBLISH_ALL_OR_NOTHING)

    assert found == {"one": Outcome.SUCCEEDED, "two": Outcome.FAILED}
    assert (place.folder / "one.tar").exists()


def test_otherwise_each_is_named_when_it_is_sent(
    place: Workplace, registry: RegistryServer, closed: RegistryServer
) -> None:
    one, two = f"{registry.host}/one:1", f"{closed.host}/two:1"
    place.write("docker-bake.hcl", BAKE.format(one=one, two=two, more=""))

    found = outcomes(place, OnError.KEEP_GOING)

    assert found == {"one": Outcome.SUCCEEDED, "two": Outcome.FAILED}
    assert has(registry, "one:1")
