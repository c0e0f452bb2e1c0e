"""Definitions from git repositories, archives and files over HTTP, served on loopback."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.git import git

from bakery.config import LoadRequest, load
from bakery.config.remote import fetch_definition, is_git, parse_git_url
from bakery.diagnostics import BakeryError

BAKE = 'target "default" {\n  context = "app"\n  contexts = { here = BAKE_CMD_CONTEXT }\n}\n'


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    root = tmp_path / "served"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield root, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def repository(served: tuple[Path, str]) -> str:
    root, url = served
    work = root / "work"
    (work / "sub").mkdir(parents=True)
    (work / "docker-bake.hcl").write_text(BAKE)
    (work / "sub" / "docker-bake.hcl").write_text('target "default" {\n  tags = ["sub"]\n}\n')
    (work / "link.hcl").symlink_to("/etc/hostname")
    git(work, "init")
    git(work, "add", ".")
    git(work, "commit", "-m", "x")
    git(work, "clone", "--bare", ".", str(root / "repo.git"))
    git(root / "repo.git", "update-server-info")
    return f"{url}/repo.git"


def request(tmp_path: Path, *remote: str, files: tuple[str, ...] = ()) -> LoadRequest:
    return LoadRequest(remote=remote, files=files, cwd=tmp_path, env=dict(os.environ))


def test_a_git_repository_is_the_context(repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Dumb HTTP, which needs no git server, cannot be shallow; git's own protocol on a path stands in for it.
    source = Path(repository.removeprefix("http://").partition("/")[2])
    monkeypatch.setattr("bakery.config.remote._git_environment", lambda env, url: {**env, "GIT_ALLOW_PROTOCOL": "file"})
    monkeypatch.setattr("bakery.config.remote.is_git", lambda url: True)
    local = f"file://{tmp_path}/served/{source}"
    project = load(request(tmp_path, local))
    assert project.remote_context == local
    assert project.targets["default"].context == "app"
    assert project.targets["default"].contexts == {"here": "cwd://"}
    assert load(request(tmp_path, f"{local}#main:sub")).targets["default"].tags == ("sub",)
    with pytest.raises(BakeryError, match=r"link\.hcl"):
        load(request(tmp_path, local, files=("link.hcl",)))
    with pytest.raises(BakeryError, match="failed to fetch"):
        load(request(tmp_path, f"{local}#nope"))


def test_a_file_is_only_a_definition(served: tuple[Path, str], tmp_path: Path) -> None:
    root, url = served
    (root / "x.hcl").write_text(BAKE)
    project = load(request(tmp_path, f"{url}/x.hcl", "https://example.com/other.git"))
    assert project.remote_context is None
    assert project.targets["default"].contexts == {"here": "https://example.com/other.git"}


def test_an_archive_is_the_context_and_links_in_it_are_no_files(served: tuple[Path, str], tmp_path: Path) -> None:
    root, url = served
    with tarfile.open(root / "x.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("./docker-bake.hcl")
        member.size = len(BAKE)
        archive.addfile(member, io.BytesIO(BAKE.encode()))
        link = tarfile.TarInfo("link.hcl")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    assert load(request(tmp_path, f"{url}/x.tar.gz")).remote_context == f"{url}/x.tar.gz"
    with pytest.raises(BakeryError, match=r"link\.hcl"):
        load(request(tmp_path, f"{url}/x.tar.gz", files=("link.hcl",)))


def test_local_files_join_in_by_prefix(served: tuple[Path, str], tmp_path: Path) -> None:
    root, url = served
    (root / "x.hcl").write_text(BAKE)
    (tmp_path / "mine.hcl").write_text('target "default" {\n  tags = ["mine"]\n}\n')
    definition = fetch_definition(f"{url}/x.hcl", ["cwd://mine.hcl"], {}, tmp_path)
    assert [found.path for found in definition.files] == [f"{url}/x.hcl", "mine.hcl"]


def test_what_cannot_be_fetched_is_said_so(served: tuple[Path, str], tmp_path: Path) -> None:
    _, url = served
    with pytest.raises(BakeryError, match="failed to fetch"):
        load(request(tmp_path, f"{url}/none.hcl"))


@pytest.mark.parametrize(
    ("url", "repository", "ref", "folder"),
    [
        ("https://h/r.git", "https://h/r.git", "HEAD", ""),
        ("https://h/r.git#v1:a/b", "https://h/r.git", "v1", "a/b"),
        ("https://h/r.git?ref=v1&subdir=a", "https://h/r.git", "v1", "a"),
        ("git@h:r.git#main", "git@h:r.git", "main", ""),
        ("github.com/o/r#x", "https://github.com/o/r", "x", ""),
    ],
)
def test_git_urls(url: str, repository: str, ref: str, folder: str) -> None:
    where = parse_git_url(url)
    assert (where.repository, where.ref, where.folder) == (repository, ref, folder)
    assert is_git(url)


def test_a_ref_is_never_an_option() -> None:
    with pytest.raises(BakeryError):
        parse_git_url("https://h/r.git#--upload-pack=x")
