"""Files of a web server as sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.faulty_proxy import Answer, Cut, faulty_proxy
from support.registry_server import free_port
from support.web_server import WebServer, web_server

from engine.digests import sha256
from engine.errors import SourceError
from engine.request import Secret

if TYPE_CHECKING:
    from conftest import Workbench


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.files["/dir/file.txt"] = b"served\n"
        server.headers["/dir/file.txt"] = {"Last-Modified": "Sat, 01 Jan 2000 00:00:00 GMT"}
        yield server


def test_a_file_has_buildkits_name_mode_and_time(bench: Workbench, web: WebServer) -> None:
    url = f"{web.url}/dir/file.txt?x=1#y"
    web.files["/dir/file.txt?x=1"], web.headers["/dir/file.txt?x=1"] = b"q", {}
    tree = bench.files(url)
    entry = tree.lstat("/file.txt")
    assert entry is not None
    assert (entry.mode & 0o7777, entry.uid, entry.mtime_ns) == (0o600, 0, 0)
    attrs = {"http.filename": "named", "http.perm": "0644", "http.uid": "3", "http.gid": "4"}
    tree = bench.files(f"{web.url}/dir/file.txt", attrs)
    entry = tree.lstat("/named")
    assert entry is not None
    assert (entry.mode & 0o7777, entry.uid, entry.gid, entry.mtime_ns) == (0o644, 3, 4, 946684800 * 10**9)
    assert tree.open("/named").read() == b"served\n"


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "a\\..\\b", ".."])
def test_a_name_that_a_server_proposes_stays_in_its_folder(bench: Workbench, web: WebServer, name: str) -> None:
    web.headers["/dir/file.txt"] = {"Content-Disposition": f'attachment; filename="{name}"'}
    names = bench.files(f"{web.url}/dir/file.txt").names("/")
    assert len(names) == 1
    assert "/" not in names[0]


def test_what_has_not_changed_is_not_sent_again(bench: Workbench, web: WebServer) -> None:
    url = f"{web.url}/dir/file.txt"
    first = bench.resolve(url)
    assert bench.resolve(url) == first
    assert [status for _, status in web.seen] == [200, 304]
    web.files["/dir/file.txt"] = b"changed\n"
    changed = bench.resolve(url)
    assert changed.pin == sha256(b"changed\n")
    assert changed.keys != first.keys


def test_a_checksum_saves_asking_and_is_believed_only_if_right(bench: Workbench, web: WebServer) -> None:
    url, right = f"{web.url}/dir/file.txt", {"http.checksum": sha256(b"served\n")}
    bench.resolve(url, right)
    bench.resolve(url, right)
    assert len(web.seen) == 1
    with pytest.raises(SourceError, match="but the checksum sha256:.* is wanted"):
        bench.resolve(url, {"http.checksum": sha256(b"other")})


def test_a_url_is_fetched_once_in_a_build(bench: Workbench, web: WebServer) -> None:
    async def twice(context: object) -> None:
        for _ in range(2):
            await context.downloader.fetch(f"{web.url}/dir/file.txt", {}, None)  # type: ignore[attr-defined]

    bench.run(twice)
    assert len(web.seen) == 1


def test_a_secret_header_is_sent_and_not_written_down(bench: Workbench, web: WebServer, tmp_path: Path) -> None:
    web.authorization = "Bearer s3cr3t-value"
    with pytest.raises(SourceError, match="answered 401"):
        bench.resolve(f"{web.url}/dir/file.txt")
    (tmp_path / "token").write_text("s3cr3t-value\n")
    bench.secrets["HTTP_AUTH_TOKEN_127.0.0.1"] = Secret("HTTP_AUTH_TOKEN_127.0.0.1", tmp_path / "token")
    assert bench.resolve(f"{web.url}/dir/file.txt").pin == sha256(b"served\n")
    bench.state.close()
    assert not any(b"s3cr3t" in p.read_bytes() for p in bench.root.rglob("*") if p.is_file())


def test_bad_days(bench: Workbench, web: WebServer) -> None:
    with pytest.raises(SourceError, match="404"):
        bench.resolve(f"{web.url}/none")
    with pytest.raises(SourceError, match="cannot download"):
        bench.resolve(f"http://127.0.0.1:{free_port()}/x")
    web.files["/big"] = bytes(1 << 20)
    with faulty_proxy(web.port, [Answer("503 Later", "Retry-After: 0\r\n"), Cut(1 << 19)]) as proxy:
        assert bench.resolve(f"http://{proxy.host}/big").pin == sha256(bytes(1 << 20))
    assert bench.leftovers() == []


def test_a_file_is_from_when_the_server_says(bench: Workbench, web: WebServer) -> None:
    assert bench.time(f"{web.url}/dir/file.txt") == 946684800
    web.headers["/dir/file.txt"] = {"Last-Modified": "yesterday"}
    web.files["/dir/file.txt"] = b"newer"
    assert bench.time(f"{web.url}/dir/file.txt") is None
