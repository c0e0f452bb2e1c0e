"""Private repositories and files: each target's secrets are shown for what that target wants, and for nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.git import commit, git
from support.in_process import Workplace
from support.web_server import WebServer, web_server

from engine.request import Outcome


def basic(token: str) -> str:
    """What git sends for a token."""
    return "basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()


def repository(folder: Path, owner: str) -> None:
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY who /\n")
    (folder / "who").write_text(owner)
    git(folder, "init", "-q")
    commit(folder)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, WebServer]]:
    """Two, each with a repository and a file of its own, and with a token of its own."""
    with web_server() as one, web_server() as two:
        found = {"one": one, "two": two}
        for name, server in found.items():
            server.repositories = tmp_path / "www" / name
            repository(server.repositories / "garden.git", name)
            server.files["/who"] = name.encode()
        yield found


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """With a token in a file for each server."""
    place = Workplace(tmp_path / "project", tmp_path / "root")
    for name in ("one", "two"):
        place.write(f"token-{name}", f"secret of {name}\n")
    return place


def bake(place: Workplace, **targets: str) -> None:
    """Targets with something of their own, and each with its token under the same name."""
    blocks = [
        f'target "{name}" {{\n  {text}\n  output = ["type=local,dest=out-{name}"]\n}}\n'
        for name, text in targets.items()
    ]
    names = ", ".join(f'"{name}"' for name in targets)
    place.write("docker-bake.hcl", f'group "default" {{ targets = [{names}] }}\n' + "".join(blocks))


def check(place: Workplace) -> None:
    place.build_well()
    for name in ("one", "two"):
        assert (place.folder / f"out-{name}" / "who").read_text() == name


@pytest.mark.parametrize("form", ["context", "ADD"])
def test_repositories_of_two_targets_with_a_token_each(
    place: Workplace, servers: dict[str, WebServer], form: str
) -> None:
    texts = {}
    for name, server in servers.items():
        server.authorization = basic(f"secret of {name}")
        url = f"{server.url}/garden.git#main"
        what = f'context = "{url}"' if form == "context" else f'dockerfile-inline = "FROM scratch\\nADD {url} /"'
        texts[name] = f'secret = ["id=GIT_AUTH_TOKEN,src=token-{name}"]\n  {what}'
    bake(place, **texts)
    check(place)


def test_files_of_two_targets_with_a_token_each(place: Workplace, servers: dict[str, WebServer]) -> None:
    texts = {}
    for name, server in servers.items():
        server.authorization = f"Bearer secret of {name}"
        what = f'dockerfile-inline = "FROM scratch\\nADD {server.url}/who /who"'
        texts[name] = f'secret = ["id=HTTP_AUTH_TOKEN_127.0.0.1,src=token-{name}"]\n  {what}'
    bake(place, **texts)
    check(place)


def test_a_target_without_a_token_does_not_get_that_of_another(place: Workplace, servers: dict[str, WebServer]) -> None:
    for server in servers.values():
        server.authorization = basic("secret of one")
    inline = 'dockerfile-inline = "FROM scratch\\nADD {}/garden.git#main /"'
    bake(
        place,
        one='secret = ["id=GIT_AUTH_TOKEN,src=token-one"]\n  ' + inline.format(servers["one"].url),
        two=inline.format(servers["two"].url),
    )
    found = {name: target.outcome for name, target in place.build().result.targets.items()}
    assert found == {"one": Outcome.SUCCEEDED, "two": Outcome.FAILED}
