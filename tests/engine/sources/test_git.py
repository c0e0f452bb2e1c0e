"""Commits of git repositories as sources, from git's own http server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import git as support_git
from support.web_server import WebServer, web_server

from engine.errors import SourceError
from engine.request import Secret
from engine.sources.git_process import check_remote
from engine.sources.image import source_key

if TYPE_CHECKING:
    from conftest import Workbench

WHEN = {"GIT_AUTHOR_DATE": "1650000000 +0000", "GIT_COMMITTER_DATE": "1650000000 +0000"}


def git(folder: Path, *arguments: str) -> str:
    return support_git.git(folder, *arguments, environ=WHEN)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    with web_server() as server:
        server.repositories = tmp_path / "www"
        server.repositories.mkdir()
        yield server


@pytest.fixture
def garden(web: WebServer) -> Path:
    """A repository with two branches, an annotated tag, a folder, a program and a link."""
    assert web.repositories
    path = web.repositories / "garden.git"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    (path / "README").write_text("seeds")
    (path / "beds").mkdir()
    (path / "beds" / "list").write_text("carrot")
    (path / "sow").write_text("#!/bin/sh\n")
    (path / "sow").chmod(0o755)
    (path / "latest").symlink_to("beds")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "sow")
    git(path, "tag", "-a", "v1", "-m", "v1")
    git(path, "checkout", "-q", "-b", "spring")
    (path / "beds" / "list").write_text("beet")
    git(path, "commit", "-q", "-am", "spring")
    git(path, "checkout", "-q", "main")
    return path


def source(web: WebServer, fragment: str = "", name: str = "garden.git", **attrs: str) -> tuple[str, dict[str, str]]:
    given = {f"git.{key}": value for key, value in attrs.items()}
    return f"git://127.0.0.1:{web.port}/{name}{fragment}", {"git.fullurl": f"{web.url}/{name}", **given}


def test_a_commits_files_come_as_they_are(bench: Workbench, web: WebServer, garden: Path) -> None:
    tree = bench.files(*source(web))
    assert list(tree.names("/")) == ["README", "beds", "latest", "sow"]
    assert tree.open("/beds/list").read() == b"carrot"
    assert tree.readlink("/latest") == "beds"
    modes = {name: tree.lstat(name).mode & 0o777 for name in ("/README", "/beds", "/sow")}  # type: ignore[union-attr]
    assert modes == {"/README": 0o644, "/beds": 0o755, "/sow": 0o755}


@pytest.mark.parametrize("ref", ["", "main", "refs/heads/main", "v1", "refs/tags/v1", "COMMIT"])
def test_every_name_of_a_commit_has_the_same_key(bench: Workbench, web: WebServer, garden: Path, ref: str) -> None:
    commit = git(garden, "rev-parse", "main")
    ref = ref.replace("COMMIT", commit)
    resolved = bench.resolve(*source(web, f"#{ref}" if ref else ""))
    assert resolved.pin == commit
    assert resolved.keys == (source_key(commit),)
    assert bench.files(*source(web, f"#{ref}" if ref else "")).open("/README").read() == b"seeds"


def test_resolving_fetches_nothing(bench: Workbench, web: WebServer, garden: Path) -> None:
    bench.resolve(*source(web))
    assert not any("upload-pack" in path and status == 200 and "info/refs" not in path for path, status in web.seen[2:])
    assert not (bench.root / "git").exists()


def test_a_folder_and_another_branch(bench: Workbench, web: WebServer, garden: Path) -> None:
    commit = git(garden, "rev-parse", "spring")
    identifier, attrs = source(web, "#spring:beds")
    assert bench.resolve(identifier, attrs).keys == (source_key(f"{commit}:beds"),)
    tree = bench.files(identifier, attrs)
    assert list(tree.names("/")) == ["list"]
    assert tree.open("/list").read() == b"beet"
    for folder in ("none", "README", "../../etc"):
        with pytest.raises(SourceError, match="has no folder"):
            bench.files(*source(web, f"#main:{folder}"))


def test_the_git_folder_is_kept_if_wanted(bench: Workbench, web: WebServer, garden: Path, tmp_path: Path) -> None:
    identifier, attrs = source(web, "#v1", keepgitdir="true")
    tag = git(garden, "rev-parse", "v1")
    assert bench.resolve(identifier, attrs).keys == (source_key(f"{tag}.git#refs/tags/v1"),)
    result = bench.resolve(identifier, attrs).result
    bench.files(identifier, attrs)
    folder = bench.snapshots.layer_path(result.layers[0])  # type: ignore[union-attr]
    assert git(folder, "-c", "safe.directory=*", "status", "--porcelain") == ""
    assert git(folder, "-c", "safe.directory=*", "describe", "--tags") == "v1"
    assert git(folder, "-c", "safe.directory=*", "remote", "get-url", "origin") == attrs["git.fullurl"]


def test_times_are_the_commits_if_wanted(bench: Workbench, web: WebServer, garden: Path) -> None:
    tree = bench.files(*source(web, mtime="commit"))
    assert {tree.lstat(p).mtime_ns for p in ("/README", "/beds", "/beds/list", "/latest")} == {1650000000 * 10**9}  # type: ignore[union-attr]


def test_a_checksum_must_be_that_of_the_commit(bench: Workbench, web: WebServer, garden: Path) -> None:
    commit = git(garden, "rev-parse", "main")
    assert bench.resolve(*source(web, "#main", checksum=commit[:12])).pin == commit
    with pytest.raises(SourceError, match=f"is the commit {commit}"):
        bench.resolve(*source(web, "#main", checksum="0" * 40))


def test_submodules_come_along_and_relative_ones_from_beside(bench: Workbench, web: WebServer, garden: Path) -> None:
    assert web.repositories
    outer = web.repositories / "outer.git"
    outer.mkdir()
    git(outer, "init", "-q", "-b", "main")
    commit = git(garden, "rev-parse", "spring")
    (outer / ".gitmodules").write_text('[submodule "g"]\n\tpath = sub/garden\n\turl = ../garden.git\n')
    git(outer, "add", ".gitmodules")
    git(outer, "update-index", "--add", "--cacheinfo", f"160000,{commit},sub/garden")
    git(outer, "commit", "-q", "-m", "outer")
    assert bench.files(*source(web, name="outer.git")).open("/sub/garden/beds/list").read() == b"beet"
    inner = bench.files(*source(web, "#main:sub", name="outer.git"))
    assert inner.open("/garden/beds/list").read() == b"beet"
    skipped = bench.files(*source(web, name="outer.git", skipsubmodules="true"))
    assert list(skipped.names("/sub/garden")) == []


def test_a_submodule_from_this_machine_is_refused(bench: Workbench, web: WebServer, garden: Path) -> None:
    git(garden, "config", "-f", ".gitmodules", "submodule.x.path", "x")
    git(garden, "config", "-f", ".gitmodules", "submodule.x.url", "file:///etc")
    git(garden, "add", ".gitmodules")
    git(garden, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    git(garden, "commit", "-q", "-m", "evil")
    with pytest.raises(SourceError, match="no address of a git repository"):
        bench.files(*source(web))


def test_a_token_is_shown_to_its_host_only_and_written_nowhere(
    bench: Workbench, web: WebServer, garden: Path, tmp_path: Path
) -> None:
    web.authorization = "basic eC1hY2Nlc3MtdG9rZW46czNjcjN0"  # x-access-token:s3cr3t
    with pytest.raises(SourceError, match="cannot look up HEAD") as caught:
        bench.resolve(*source(web))
    assert "GIT_AUTH_TOKEN" in caught.value.hint
    (tmp_path / "token").write_text("s3cr3t\n")
    bench.secrets["GIT_AUTH_TOKEN.127.0.0.1"] = Secret("GIT_AUTH_TOKEN.127.0.0.1", tmp_path / "token")
    assert bench.files(*source(web, keepgitdir="true")).open("/README").read() == b"seeds"
    written = [p.read_bytes() for p in bench.root.rglob("*") if p.is_file() and not p.is_symlink()]
    assert not any(b"s3cr3t" in data or b"czNjcjN0" in data for data in written)


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x",
        "ssh://-oProxyCommand=x/y",
        "-x@host:path",
        "ext::sh -c x",
        "file:///etc",
        "/etc",
        "../x",
        "https://h/x\n",
    ],
)
def test_an_address_that_could_do_harm_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match="no address of a git repository"):
        check_remote(url)


@pytest.mark.parametrize("url", ["https://[::1]:8443/x.git", "ssh://git@h/x", "git@h.example:team/x.git", "git://h/x"])
def test_an_ordinary_address_is_taken(url: str) -> None:
    assert check_remote(url) == url


@pytest.mark.parametrize("ref", ["--upload-pack=x", "a..b", "a b", "x@{1}", "main:beds/../../x", "no-such"])
def test_a_ref_that_is_none_is_refused(bench: Workbench, web: WebServer, garden: Path, ref: str) -> None:
    with pytest.raises(SourceError):
        bench.files(*source(web, f"#{ref}"))


def test_a_repository_that_is_not_there(bench: Workbench, web: WebServer) -> None:
    with pytest.raises(SourceError, match="cannot look up HEAD of"):
        bench.resolve(*source(web, name="none.git"))
    assert bench.leftovers() == []


def test_a_commit_is_from_when_it_was_made(bench: Workbench, web: WebServer, garden: Path) -> None:
    assert (
        bench.time(f"git://127.0.0.1:{web.port}/garden.git#v1", {"git.fullurl": f"{web.url}/garden.git"}) == 1650000000
    )
