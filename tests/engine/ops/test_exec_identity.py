"""The cache identity of exec ops: BuildKit's digests, and what of each input counts."""

from __future__ import annotations

from engine.digests import sha256
from engine.llb.definition import Edge, Vertex
from engine.llb.ops import (
    CacheOpt,
    CacheSharing,
    ContentCache,
    ExecOp,
    HostIP,
    Meta,
    Mount,
    MountType,
    Platform,
    ProxyEnv,
)
from engine.ops.contract import CacheMap, Selection
from engine.ops.exec import ExecOperation

AMD64 = Platform(architecture="amd64", os="linux")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ROOT = Mount(dest="/")


def cache_map(*mounts: Mount, inputs: int = 1, **meta: object) -> CacheMap:
    values = {"args": ("/bin/sh", "-c", 'echo "a<b" && echo hi > /hi'), "env": (PATH,), "cwd": "/", **meta}
    edges = [Edge(sha256(bytes([number]))) for number in range(inputs)]
    return ExecOperation(Vertex.make(ExecOp(meta=Meta(**values), mounts=mounts), edges, AMD64)).cache_map()  # type: ignore[arg-type]


def test_the_digest_is_buildkits() -> None:
    # Taken from a cache that BuildKit exported.
    expected = "sha256:4d59d6ac8430f29eecf063894ca276e5019093d36a007238f6c69cfaac2bbc1a"
    assert cache_map(ROOT, remove_mount_stubs_recursive=True).digest == expected


def test_proxies_and_addresses_do_not_count_but_host_names_do() -> None:
    plain = cache_map(ROOT).digest
    assert cache_map(ROOT, proxy_env=ProxyEnv(http_proxy="http://p")).digest == plain
    one, other = (cache_map(ROOT, extra_hosts=(HostIP("a", ip),)).digest for ip in ("1.1.1.1", "2.2.2.2"))
    assert one == other != plain


def test_where_a_cache_is_kept_does_not_count_unless_it_is_the_default_name() -> None:
    def digest(id: str, sharing: CacheSharing = CacheSharing.SHARED) -> str:
        cache = Mount(input=-1, dest="/c", output=-1, mount_type=MountType.CACHE, cache_opt=CacheOpt(id, sharing))
        return cache_map(ROOT, cache).digest

    assert digest("mine") == digest("other") == digest("//c", CacheSharing.LOCKED)
    assert len({digest("mine"), digest("//c"), digest("/c")}) == 3


def test_the_root_counts_by_its_key_alone() -> None:
    (root,) = cache_map(ROOT).dependencies
    assert (root.selector, root.content) == (sha256(b"/"), None)


def test_a_readonly_mount_counts_by_the_content_it_shows() -> None:
    mount = Mount(input=1, selector="/data", dest="/d", output=-1, readonly=True)
    _, dependency = cache_map(ROOT, mount, inputs=2).dependencies
    assert dependency.selector == sha256(b"/data")
    assert dependency.content == (Selection("/data", follow_links=True),)


def test_several_mounts_of_one_input_count_once_for_what_lies_in_another() -> None:
    mounts = [Mount(input=1, selector=s, dest=f"/m{n}", output=-1) for n, s in enumerate(("/a/b", "/c", "/a", "/ab"))]
    _, dependency = cache_map(ROOT, *mounts, inputs=2).dependencies
    assert dependency.selector == sha256(b"/a/b\0/c\0/a\0/ab")
    assert dependency.content is not None
    assert [selection.path for selection in dependency.content] == ["/a", "/ab", "/c"]


def test_a_mount_whose_changes_are_kept_counts_by_its_key() -> None:
    mount = Mount(input=1, dest="/d", output=1)
    assert cache_map(ROOT, mount, inputs=2).dependencies[1].content is None


def test_an_input_that_is_also_the_root_counts_by_its_key() -> None:
    mount = Mount(input=0, selector="/x", dest="/d", output=-1, readonly=True)
    (dependency,) = cache_map(ROOT, mount).dependencies
    assert dependency.content is None
    assert dependency.selector == sha256(b"/\0/x")


def test_the_user_may_decide_what_counts() -> None:
    off = Mount(input=1, dest="/d", output=-1, readonly=True, content_cache=ContentCache.OFF)
    on = Mount(input=1, dest="/d", output=1, content_cache=ContentCache.ON)
    assert cache_map(ROOT, off, inputs=2).dependencies[1].content is None
    assert cache_map(ROOT, on, inputs=2).dependencies[1].content == (Selection("/", follow_links=True),)
