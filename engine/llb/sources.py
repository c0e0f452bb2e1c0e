"""States that come from outside: images, folders, repositories, URLs; written as BuildKit's client does."""

from __future__ import annotations

import json
from collections.abc import Sequence

from engine import platforms
from engine.llb import giturl
from engine.llb.nodes import LOCAL_SCHEME, NO_LABEL, Label, Output, SourceNode
from engine.llb.ops import Platform
from engine.llb.state import State
from engine.values import frozen

RESOLVE_MODES = ("default", "pull", "local")


def image(reference: str, *, platform: Platform | None = None, mode: str = "", label: Label = NO_LABEL) -> State:
    """An image of a registry. `mode`: `pull` asks the registry even if the image is known, `local` prefers what is."""
    caps = {"source.image"}
    attrs = {}
    if mode and mode != "default":
        attrs["image.resolvemode"] = mode
    if mode == "pull":
        caps.add("source.image.resolvemode")
    return _image(SourceNode("docker-image://" + reference, attrs, frozenset(caps), platform, label), platform)


def oci_layout(
    reference: str, *, store: str, session: str, platform: Platform | None = None, label: Label = NO_LABEL
) -> State:
    """An image of an OCI layout folder."""
    attrs = {"oci.session": session, "oci.store": store}
    return _image(
        SourceNode("oci-layout://" + reference, attrs, frozenset({"source.ocilayout"}), platform, label), platform
    )


def _image(node: SourceNode, platform: Platform | None) -> State:
    return State(Output(node), platform=platforms.normalize(platform) if platform else None)


def local(
    name: str,
    *,
    session: str,
    follow: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hint: str = "",
    differ: str = "",
    label: Label = NO_LABEL,
) -> State:
    """A folder of this machine.

    Args:
        name: what the folder is called.
        session: which folder it is; see `engine.frontends.contract.LocalFolder.session`.
        follow: the paths that are used, with whatever they link to; all when empty.
        include: patterns of what is taken.
        exclude: patterns of what is left out, in .dockerignore's language.
        hint: a name for what may be kept for the next transfer.
        differ: `none` or `metadata`.
        label: what is said about the vertex.
    """
    attrs = {
        "local.session": session,
        "local.includepattern": _list(include),
        "local.followpaths": _list(follow),
        "local.excludepatterns": _list(exclude),
        "local.sharedkeyhint": hint,
        "local.differ": differ,
    }
    named = {
        "local.session": "sessionid",
        "local.includepattern": "includepatterns",
        "local.followpaths": "followpaths",
        "local.excludepatterns": "excludepatterns",
        "local.sharedkeyhint": "sharedkeyhint",
    }
    caps = {"source.local", *(f"source.local.{cap}" for key, cap in named.items() if attrs[key])}
    used = {key: value for key, value in attrs.items() if value}
    return State(Output(SourceNode(LOCAL_SCHEME + name, used, frozenset(caps), None, label)))


def _list(items: Sequence[str]) -> str:
    if not items:
        return ""
    text = json.dumps(list(items), ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":  # as Go's encoding/json writes them; they can only stand inside strings
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


@frozen
class GitOptions:
    """What of a repository, and how; `mtime` is empty, `checkout` or `commit`."""

    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: bool = False
    skip_submodules: bool = False
    mtime: str = ""
    fetch_by_commit: bool = False


def git(remote: str, options: GitOptions | None = None, *, label: Label = NO_LABEL) -> State:
    """A git repository at a ref. The remote is a URL or ssh's short form; without a protocol https is meant."""
    opt = options or GitOptions()
    url, parsed = remote, None
    try:
        parsed = giturl.parse(remote)
    except giturl.GitURLError as error:
        if str(error) == "unknown protocol":
            url = "https://" + remote
            parsed = giturl.from_url(url)
    if parsed is not None:
        url = parsed.remote
    identifier = parsed.location if parsed else url
    if parsed and (opt.ref or opt.subdir):
        identifier += "#" + opt.ref + (":" + opt.subdir if opt.subdir else "")
    attrs = {"git.fullurl": url, "git.authtokensecret": "GIT_AUTH_TOKEN", "git.authheadersecret": "GIT_AUTH_HEADER"}
    caps = {"source.git", "source.git.fullurl"}
    if parsed and parsed.scheme == "ssh":
        attrs["git.mountsshsock"] = "default"
        caps |= {"source.git.knownsshhosts", "source.git.mountsshsock"}
    given = {
        "git.keepgitdir": "true" if opt.keep_git_dir else "",
        "git.checksum": opt.checksum,
        "git.skipsubmodules": "true" if opt.skip_submodules else "",
        "git.mtime": opt.mtime,
        "git.fetchbycommit": "true" if opt.fetch_by_commit else "",
    }
    for key, value in given.items():
        if value:
            attrs[key] = value
            caps.add("source." + key)
    return State(Output(SourceNode("git://" + identifier, attrs, frozenset(caps), None, label)))


def http(url: str, *, filename: str = "", checksum: str = "", label: Label = NO_LABEL) -> State:
    """One file of a web server. `checksum` is its sha256 digest, if it is to be checked."""
    attrs = {"http.checksum": checksum, "http.filename": filename}
    caps = {"source.http", "source.http.checksum"} if checksum else {"source.http"}
    used = {key: value for key, value in attrs.items() if value}
    return State(Output(SourceNode(url, used, frozenset(caps), None, label)))
