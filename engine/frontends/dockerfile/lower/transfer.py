"""ADD and COPY: files of the context, of stages and images, of repositories and web servers, and heredocs."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from engine.frontends.dockerfile.expand import Expander, ExpansionError
from engine.frontends.dockerfile.gotext import quote
from engine.frontends.dockerfile.heredoc import Heredoc
from engine.frontends.dockerfile.instructions import Add, CopyFiles, Transfer
from engine.frontends.dockerfile.lower import gitref, paths, reference
from engine.frontends.dockerfile.lower.names import count, internal, prefixed, shown
from engine.frontends.dockerfile.lower.scope import Scope
from engine.frontends.dockerfile.lower.stage import Command, Stage, used_path
from engine.frontends.dockerfile.source import DockerfileError
from engine.frontends.dockerfile.words import SURROGATE
from engine.llb import sources
from engine.llb.actions import Actions, CopyOptions, copy, mkfile
from engine.llb.nodes import Group, Label
from engine.llb.paths import base, join
from engine.llb.state import State, merge, scratch
from engine.values import record, replace

UNNAMED = "__unnamed__"
_HTTP = ("http://", "https://")
_OCTAL = re.compile(r"[0-7]+")
_CLAUSE = r"[augo]*(?:[-+=][rstwXxugo]*)+"
_SYMBOLIC = re.compile(rf"{_CLAUSE}(?:,{_CLAUSE})*")
_MAX_MODE = 0o7777
_WILDCARD = re.compile(r"(?:[^\\*?\[]|\\.)*[*?\[]", re.DOTALL)


@record
class _Work:
    """One instruction: what is copied whence, and how."""

    scope: Scope
    stage: Stage
    instruction: Add | CopyFiles
    transfer: Transfer
    files: State
    dest: str
    mode: int | str | None
    name: str
    checksum: str = ""

    @property
    def is_add(self) -> bool:
        return isinstance(self.instruction, Add)

    @property
    def os(self) -> str:
        return self.stage.platform.os if self.stage.platform else ""


def lower_add(scope: Scope, stage: Stage, add: Add) -> None:
    """Adds files to a stage.

    Raises:
        DockerfileError: for flags or sources that make no sense.
    """
    transfer, checksum = _expanded(scope, stage, add)
    dest = _lower(scope, stage, add, transfer, scope.build_context, checksum)
    scope.observer.copied(add, transfer, dest, None)
    for source in transfer.sources:
        if not source.startswith(_HTTP):
            stage.context_paths.add(used_path(source))


def lower_copy(scope: Scope, stage: Stage, instruction: CopyFiles, command: Command) -> None:
    """Copies files into a stage. Raises as `lower_add`."""
    transfer, _ = _expanded(scope, stage, instruction)
    used, files = stage.context_paths, scope.build_context
    if command.sources:
        source = command.sources[0]
        if not source.dispatched:
            raise DockerfileError(
                f"cannot copy from stage {quote(instruction.source)}, "
                f"it needs to be defined before current stage {quote(stage.title)}"
            )
        used, files = source.paths, source.state
    dest = _lower(scope, stage, instruction, transfer, files, "")
    scope.observer.copied(instruction, transfer, dest, command.sources[0] if command.sources else None)
    used.update(map(used_path, transfer.sources))


def _expanded(scope: Scope, stage: Stage, instruction: Add | CopyFiles) -> tuple[Transfer, str]:
    expand = scope.words(stage, instruction)
    transfer = instruction.transfer
    chown, chmod = expand(transfer.chown), expand(transfer.chmod)
    checksum = expand(instruction.checksum) if isinstance(instruction, Add) else ""
    found = tuple(map(expand, transfer.sources))
    dest = expand(transfer.dest)
    documents = tuple(_document(scope, stage, instruction, doc) for doc in transfer.documents)
    return replace(transfer, sources=found, dest=dest, documents=documents, chown=chown, chmod=chmod), checksum


def _document(scope: Scope, stage: Stage, instruction: Add | CopyFiles, doc: Heredoc) -> Heredoc:
    """A heredoc with its final text. Quotes mean nothing in it, and the escape is always a backslash."""
    if not doc.expand:
        return replace(doc, content=doc.text, chomp=False)
    try:
        text = SURROGATE.sub("\ufffd", doc.text)  # bytes that are no UTF-8 stay only where nothing is expanded
        done = Expander(no_quotes=True).full(text, stage.state.env)
    except ExpansionError as error:
        raise DockerfileError(str(error)) from None
    if done.missing:
        scope.observer.unset(instruction, done.missing, stage)
    return replace(doc, content=done.text, chomp=False)


def _lower(
    scope: Scope, stage: Stage, instruction: Add | CopyFiles, transfer: Transfer, files: State, checksum: str
) -> str:
    """Adds the copy to the stage; gives where it goes."""
    os = stage.platform.os if stage.platform else ""
    dest = paths.destination(stage.state.cwd, transfer.dest, os)
    mode = _mode(transfer.chmod)
    if checksum:
        _check_checksum(transfer)
    count(stage)
    env = stage.state.env
    text = shown(instruction.code, scope.expander, env)
    name = prefixed(stage, text, stage.platform, env)
    work = _Work(scope, stage, instruction, transfer, files, dest, mode, name, checksum)
    actions = _actions(work)
    label = Label(name, places=scope.places(instruction), ignore_cache=stage.ignore_cache)
    if transfer.link and not transfer.chmod:
        _link(work, actions, label, text)
    else:
        stage.state = stage.state.file(actions, label)
    stage.image.record(_history(work) + " # buildkit", layer=True, epoch=scope.epoch)
    return dest


def _link(work: _Work, actions: Actions, label: Label, text: str) -> None:
    """Copies onto nothing and lays the result over the stage, so that it does not depend on what is below."""
    stage = work.stage
    copied = scratch().file(actions, label)
    members = (stage.state.output, copied.output)
    if copied.output is not None:
        copied.output.node.label = replace(label, group=Group(work.name, True, members))
    linked = prefixed(stage, "LINK " + text, stage.platform, stage.state.env)
    merged = merge([stage.state, copied], replace(label, name=linked, group=Group(work.name, False, members)))
    stage.state = stage.state.with_output(merged.output)


def _actions(work: _Work) -> Actions:
    actions = Actions(())
    for source in work.transfer.sources:
        actions = Actions(actions.links + _source(work, source).links)
    for doc in work.transfer.documents:
        actions = Actions(actions.links + _inline(work, doc).links)
    return actions


def _source(work: _Work, source: str) -> Actions:
    try:
        repository = gitref.parse(source) if ":" in source else None
    except gitref.NotGit:
        repository = None
    except gitref.BadGitRef as error:
        raise DockerfileError(str(error)) from None
    if repository is not None and not repository.like_path:
        return _git(work, repository)
    if source.startswith(_HTTP) and not gitref.is_git(source):
        return _http(work, source)
    return _files(work, source)


def _copy(work: _Work, state: State, src: str, options: CopyOptions) -> Actions:
    filled = replace(options, mode=work.mode, exclude_patterns=work.transfer.excludes, create_dest_path=True)
    return copy(state, src, work.dest, options=filled, owner=work.transfer.chown or None)


def _git(work: _Work, ref: gitref.GitRef) -> Actions:
    add = work.instruction
    if not isinstance(add, Add):
        raise DockerfileError("source can't be a git ref for COPY")
    if add.keep_git_dir is not None and ref.keep_git_dir not in (None, add.keep_git_dir):
        raise DockerfileError("inconsistent keep-git-dir configuration")
    if work.checksum and ref.checksum and work.checksum != ref.checksum:
        raise DockerfileError(f"checksum mismatch {quote(work.checksum)} != {quote(ref.checksum)}")
    keep = bool(add.keep_git_dir if ref.keep_git_dir is None else ref.keep_git_dir)
    options = replace(ref.options(checksum=work.checksum), mtime="", keep_git_dir=keep)
    return _copy(work, sources.git(ref.remote, options, label=Label(work.name)), "/", CopyOptions())


def _http(work: _Work, url: str) -> Actions:
    add = work.instruction
    if not isinstance(add, Add):
        raise DockerfileError("source can't be a URL for COPY")
    if work.checksum:
        try:
            reference.check_digest(work.checksum)
        except reference.BadReference as error:
            raise DockerfileError(str(error)) from None
    name = http_filename(url)
    state = sources.http(url, filename=name, checksum=work.checksum, label=Label(work.name, ""))
    return _copy(work, state, name, CopyOptions(attempt_unpack=bool(add.unpack)))


def http_filename(url: str) -> str:
    """What a downloaded file is called: the last part of the URL's path."""
    try:
        name = base(unquote(urlsplit(url).path))
    except ValueError:
        return UNNAMED
    return UNNAMED if name in (".", "/") else name


def _files(work: _Work, source: str) -> Actions:
    if work.files is work.scope.build_context:
        work.scope.observer.copied_file(work.instruction, source)
    unpack = work.is_add
    if isinstance(work.instruction, Add) and work.instruction.unpack is not None:
        unpack = work.instruction.unpack
    patterns: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    if isinstance(work.instruction, CopyFiles) and work.instruction.parents:
        parent, pivot, pattern = source.partition("/./")
        source, pattern = (parent, pattern) if pivot else ("/", source)
        pattern = paths.normalize("/", pattern, work.os)
        patterns = (pattern.removeprefix("/"),)
        if not has_wildcard(source) and not has_wildcard(pattern):
            required = (paths.normalize("/", join(source, pattern), work.os),)
    options = CopyOptions(
        follow_symlink=True,
        dir_copy_contents=True,
        attempt_unpack=unpack,
        allow_wildcard=True,
        allow_empty_wildcard=True,
        include_patterns=patterns,
        required_paths=required,
    )
    return _copy(work, work.files, paths.normalize("/", source, work.os), options)


def _inline(work: _Work, doc: Heredoc) -> Actions:
    name = paths.without_drive(doc.name, work.os)
    data = doc.content.encode("utf-8", "surrogateescape")
    made = scratch().file(mkfile(name, 0o644, data), Label(internal("preparing inline document")))
    return _copy(work, made, paths.to_slash(name, work.os), CopyOptions())


def has_wildcard(path: str) -> bool:
    """Whether a path is a pattern."""
    return _WILDCARD.match(path) is not None


def _mode(text: str) -> int | str | None:
    """`--chmod`: octal digits as a number, chmod's symbols as they are."""
    if not text:
        return None
    if _OCTAL.fullmatch(text) and int(text, 8) <= _MAX_MODE:
        return int(text, 8)
    if text[0] in "0123456789":
        raise DockerfileError(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")
    if not _SYMBOLIC.fullmatch(text):
        raise DockerfileError("invalid syntax")
    return text


def _check_checksum(transfer: Transfer) -> None:
    if len(transfer.sources) != 1:
        raise DockerfileError("checksum can't be specified for multiple sources")
    source = transfer.sources[0]
    if not source.startswith(_HTTP) and not gitref.is_git(source):
        raise DockerfileError("checksum requires HTTP(S) or Git sources")


def _history(work: _Work) -> str:
    transfer = work.transfer
    words = ["ADD" if work.is_add else "COPY"]
    if isinstance(work.instruction, CopyFiles) and work.instruction.parents:
        words.append("--parents")
    if transfer.chown:
        words.append(f"--chown={transfer.chown}")
    if transfer.chmod:
        words.append(f"--chmod={transfer.chmod}")
    words += [*transfer.sources, *(f"<<{doc.name}" for doc in transfer.documents), transfer.dest]
    return " ".join(words)
