"""The Go JSON form, proven by digests that BuildKit made."""

from __future__ import annotations

from engine.digests import Digest, sha256
from engine.llb.go_json import go_json, tagged_digest, tagged_json
from engine.llb.ops import (
    CacheOpt,
    ChownOpt,
    Copy,
    ExecOp,
    HostIP,
    MergeInput,
    MergeOp,
    Meta,
    MkFile,
    Mount,
    MountType,
    NamedUserOpt,
    ProxyEnv,
    UserOpt,
)

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def record_digest(op: Digest) -> str:
    return sha256(f"{op}@0".encode())


def test_a_copy_has_the_digest_of_buildkits_exported_cache() -> None:
    copy = Copy(
        src="a.txt",
        dest="/a.txt",
        mode=-1,
        follow_symlink=True,
        dir_copy_contents=True,
        create_dest_path=True,
        allow_wildcard=True,
        allow_empty_wildcard=True,
        timestamp=-1,
    )
    op = tagged_digest("buildkit.file.v0", Actions=[go_json(copy)])
    assert record_digest(op) == "sha256:0068309e89bd0f0f00fe2e9e00e9cca862f2dd58d80cb7f4dca6613a0613f509"


def test_a_command_with_html_characters_has_buildkits_digest() -> None:
    meta = Meta(
        args=("/bin/sh", "-c", 'echo "a<b" && echo hi > /hi'),
        env=(PATH,),
        cwd="/",
        remove_mount_stubs_recursive=True,
    )
    op = tagged_digest("buildkit.exec.v0", Exec=ExecOp(meta=meta), OS="linux", Arch="amd64")
    assert op == "sha256:4d59d6ac8430f29eecf063894ca276e5019093d36a007238f6c69cfaac2bbc1a"
    assert record_digest(op) == "sha256:feb7278cb86a503d0711eb995f88ffa9f60cf26b3ebb8bb7b645b17b169aa4f3"


def test_users_are_wrapped_and_user_zero_is_an_empty_object() -> None:
    owner = ChownOpt(UserOpt(by_name=NamedUserOpt("app", 1)), UserOpt(by_id=0))
    assert go_json(owner) == b'{"user":{"User":{"byName":{"name":"app","input":1}}},"group":{"User":{}}}'
    assert go_json(UserOpt(by_id=7)) == b'{"User":{"byId":7}}'


def test_names_follow_the_go_struct() -> None:
    meta = Meta(proxy_env=ProxyEnv(http_proxy="p"), extra_hosts=(HostIP("h", "1.2.3.4"),), valid_exit_codes=(0, 3))
    assert go_json(meta) == (
        b'{"proxy_env":{"http_proxy":"p"},"extraHosts":[{"Host":"h","IP":"1.2.3.4"}],"validExitCodes":[0,3]}'
    )
    mount = Mount(input=-1, dest="/c", output=-1, mount_type=MountType.CACHE, cache_opt=CacheOpt())
    assert go_json(mount) == b'{"input":-1,"dest":"/c","output":-1,"mountType":3,"cacheOpt":{}}'


def test_bytes_are_base64_and_an_empty_input_stays() -> None:
    assert go_json(MkFile("/f", 0o644, b"<\n")) == b'{"path":"/f","mode":420,"data":"PAo="}'
    merge = MergeOp((MergeInput(0), MergeInput(1)))
    assert tagged_json("buildkit.merge.v0", Merge=merge) == (
        b'{"Type":"buildkit.merge.v0","Merge":{"inputs":[{},{"input":1}]}}'
    )


def test_line_separators_are_escaped_and_other_letters_are_not() -> None:
    assert go_json(Copy(src="ü\u2028&\x01")) == '{"src":"ü\\u2028\\u0026\\u0001"}'.encode()
