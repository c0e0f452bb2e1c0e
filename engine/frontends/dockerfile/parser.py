"""Statements to instructions and stages. Messages and the order of checks are the peer's, since users know them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from engine.frontends.dockerfile import flags, mount
from engine.frontends.dockerfile.gotext import SPACE, meant, parse_duration, parse_int, quote
from engine.frontends.dockerfile.heredoc import Heredoc, try_word
from engine.frontends.dockerfile.instructions import (
    Add,
    Arg,
    ArgName,
    Cmd,
    CommandLine,
    CopyFiles,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    From,
    Health,
    Healthcheck,
    Instruction,
    KeyValue,
    Labels,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stage,
    StopSignal,
    Transfer,
    User,
    Volume,
    Workdir,
)
from engine.frontends.dockerfile.lexer import Statement, lex
from engine.frontends.dockerfile.source import DockerfileError
from engine.frontends.dockerfile.words import KEYWORDS

STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
NETWORKS = ("default", "none", "host")
SECURITIES = ("insecure", "sandbox")
_ONBUILD = re.compile(r"[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*", re.IGNORECASE)
_SHORTEST_INTERVAL = 1_000_000


@lru_cache(maxsize=256)
def parse(data: bytes) -> Dockerfile:
    """A Dockerfile. The same bytes are parsed once.

    Raises:
        DockerfileError: with the peer's message, and the lines.
    """
    lexed = lex(data)
    stages: list[tuple[From, list[Instruction]]] = []
    args: list[Arg] = []
    for statement in lexed.statements:
        try:
            instruction = parse_instruction(statement)
        except DockerfileError as error:
            prefix = f"dockerfile parse error on line {statement.first}: "
            raise DockerfileError(prefix + error.message, (statement.first, statement.last)) from None
        if isinstance(instruction, From):
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            args.append(instruction)
        else:
            raise DockerfileError("no build stage in current context", instruction.lines)
    return Dockerfile(
        tuple(Stage(start, tuple(body)) for start, body in stages), tuple(args), lexed.escape, lexed.empty_continuations
    )


def parse_trigger(text: str, first: int, last: int) -> Instruction:
    """The instruction of an ONBUILD trigger, as if it stood on other lines.

    Raises:
        DockerfileError: without a useful place.
    """
    statements = lex(text.encode("utf-8", "surrogateescape")).statements
    if len(statements) != 1:
        raise DockerfileError("onbuild trigger should be a single expression")
    instruction = parse_instruction(replace(statements[0], first=first, last=last))
    if isinstance(instruction, From):
        raise DockerfileError("*instructions.Stage is not a command type")
    return instruction


def parse_instruction(statement: Statement) -> Instruction:
    """What a statement means.

    Raises:
        DockerfileError: without a place.
    """
    word = statement.words.keyword
    reader = _READERS.get(word.lower())
    if reader is None:
        known = [keyword.upper() for keyword in KEYWORDS]
        raise DockerfileError(meant(f"unknown instruction: {word}", word, known, fold=True))
    return reader(statement)


def _exactly_one(statement: Statement, name: str) -> str:
    if len(statement.words.args) != 1:
        raise DockerfileError(f"{name} requires exactly one argument")
    return statement.words.args[0]


def _at_least_one(statement: Statement, name: str) -> None:
    words = statement.words
    if not (words.args or words.pairs or words.child):
        raise DockerfileError(f"{name} requires at least one argument")


def _no_flags(statement: Statement) -> None:
    flags.parse(statement.words.flags)


def _pairs(statement: Statement, name: str) -> tuple[KeyValue, ...]:
    _no_flags(statement)
    _at_least_one(statement, name)
    pairs = statement.words.pairs
    if any(not key for key, _, _ in pairs):
        raise DockerfileError(f"{name} names can not be blank")
    return tuple(KeyValue(key, value, not delimited) for key, value, delimited in pairs)


def _env(statement: Statement) -> Instruction:
    return Env(statement, _pairs(statement, "ENV"))


def _label(statement: Statement) -> Instruction:
    return Labels(statement, _pairs(statement, "LABEL"))


def _maintainer(statement: Statement) -> Instruction:
    name = _exactly_one(statement, "MAINTAINER")
    _no_flags(statement)
    return Maintainer(statement, name)


def _arg(statement: Statement) -> Instruction:
    _at_least_one(statement, "ARG")
    names = []
    for word in statement.words.args:
        key, equals, value = word.partition("=")
        if equals and not key:
            raise DockerfileError("ARG names can not be blank")
        names.append(ArgName(key, value if equals else None, _description(statement, key)))
    return Arg(statement, tuple(names))


def _description(statement: Statement, name: str) -> str:
    """The comment above that begins with the name."""
    if not name:
        return ""
    start = name + " "
    return next((text.removeprefix(start) for text in statement.comments if text.startswith(start)), "")


def _from(statement: Statement) -> Instruction:
    args = statement.words.args
    name = ""
    if len(args) == 3 and args[1].lower() == "as":
        name = args[2].lower()
        if not STAGE_NAME.fullmatch(name):
            raise DockerfileError(
                f"invalid name for build stage: {quote(args[2])}, name can't start with a number or contain symbols"
            )
    elif len(args) != 1:
        raise DockerfileError("FROM requires either one or three arguments")
    found = flags.parse(statement.words.flags, texts=("platform",))
    return From(statement, args[0], name, found.texts.get("platform", ""), _description(statement, name))


def _transfer(statement: Statement, name: str, found: flags.Flags) -> Transfer:
    *sources, dest = statement.words.args
    if "<<" in dest and try_word(dest) is not None:
        raise DockerfileError(f"{name} cannot accept a heredoc as a destination")
    contents = {doc.name: doc.content for doc in statement.heredocs}
    paths: list[str] = []
    documents: list[Heredoc] = []
    for source in sources:
        opened = try_word(source) if "<<" in source else None
        if opened is None:
            paths.append(source)
        else:
            documents.append(replace(opened, content=contents.get(opened.name, "")))
    return Transfer(
        tuple(paths),
        dest,
        tuple(documents),
        chown=found.texts.get("chown", ""),
        chmod=found.texts.get("chmod", ""),
        link=found.switches.get("link", False),
        excludes=found.lists.get("exclude", ()),
    )


def _need_destination(statement: Statement, name: str) -> None:
    if len(statement.words.args) < 2:
        raise DockerfileError(
            f"{name} requires at least two arguments, but only one was provided. Destination could not be determined"
        )


def _add(statement: Statement) -> Instruction:
    _need_destination(statement, "ADD")
    found = flags.parse(
        statement.words.flags,
        texts=("chown", "chmod", "checksum"),
        switches=("link", "keep-git-dir", "unpack"),
        lists=("exclude",),
    )
    return Add(
        statement,
        _transfer(statement, "ADD", found),
        keep_git_dir=found.switches.get("keep-git-dir"),
        checksum=found.texts.get("checksum", ""),
        unpack=found.switches.get("unpack"),
    )


def _copy(statement: Statement) -> Instruction:
    _need_destination(statement, "COPY")
    found = flags.parse(
        statement.words.flags,
        texts=("chown", "chmod", "from"),
        switches=("link", "parents"),
        lists=("exclude",),
    )
    return CopyFiles(
        statement,
        _transfer(statement, "COPY", found),
        source=found.texts.get("from", ""),
        parents=found.switches.get("parents", False),
    )


def _command(statement: Statement) -> CommandLine:
    words = statement.words
    return CommandLine(words.args, not words.json, statement.heredocs)


def _run(statement: Statement) -> Instruction:
    given = statement.words.flags
    if not given:
        return Run(statement, _command(statement))
    found = flags.parse(given, texts=("network", "security"), lists=("mount", "device"))
    devices = tuple(map(mount.parse_device, found.lists.get("device", ())))
    mounts = found.lists.get("mount", ())
    sources = tuple(map(mount.source_of, mounts))
    network = found.texts.get("network", "default")
    if network not in NETWORKS:
        raise DockerfileError(f"invalid network mode {quote(network)}")
    security = found.texts.get("security", "sandbox")
    if security not in SECURITIES:
        raise DockerfileError(f"security {quote(security)} is not valid")
    return Run(statement, _command(statement), mounts, sources, network, security, devices)


def _cmd(statement: Statement) -> Instruction:
    _no_flags(statement)
    return Cmd(statement, _command(statement))


def _entrypoint(statement: Statement) -> Instruction:
    _no_flags(statement)
    return Entrypoint(statement, _command(statement))


def _healthcheck(statement: Statement) -> Instruction:
    _at_least_one(statement, "HEALTHCHECK")
    kind, *command = statement.words.args
    kind = kind.upper()
    if kind == "NONE":
        if command:
            raise DockerfileError("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(statement, Health(("NONE",)))
    times = ("interval", "timeout", "start-period", "start-interval")
    found = flags.parse(statement.words.flags, texts=(*times, "retries")).texts
    if kind != "CMD":
        raise DockerfileError(f"Unknown type {quote(kind)} in HEALTHCHECK (try CMD)")
    if not command:
        raise DockerfileError("Missing command after HEALTHCHECK CMD")
    test = ("CMD" if statement.words.json else "CMD-SHELL", *command)
    interval, timeout, period, start_interval = (_interval(name, found.get(name, "")) for name in times)
    return Healthcheck(
        statement, Health(test, interval, timeout, period, start_interval, _retries(found.get("retries", "")))
    )


def _interval(name: str, text: str) -> int:
    if not text:
        return 0
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise DockerfileError(str(error)) from None
    if value and value < _SHORTEST_INTERVAL:
        raise DockerfileError(f"Interval {quote(name)} cannot be less than 1ms")
    return value


def _retries(text: str) -> int:
    if not text:
        return 0
    try:
        value = parse_int(text, 32)
    except ValueError as error:
        raise DockerfileError(str(error)) from None
    if value < 0:
        raise DockerfileError(f"--retries cannot be negative ({value})")
    return value


def _expose(statement: Statement) -> Instruction:
    _at_least_one(statement, "EXPOSE")
    _no_flags(statement)
    return Expose(statement, tuple(sorted(statement.words.args)))


def _user(statement: Statement) -> Instruction:
    user = _exactly_one(statement, "USER")
    _no_flags(statement)
    return User(statement, user)


def _volume(statement: Statement) -> Instruction:
    _at_least_one(statement, "VOLUME")
    _no_flags(statement)
    paths = tuple(path.strip(SPACE) for path in statement.words.args)
    if not all(paths):
        raise DockerfileError("VOLUME specified can not be an empty string")
    return Volume(statement, paths)


def _stopsignal(statement: Statement) -> Instruction:
    return StopSignal(statement, _exactly_one(statement, "STOPSIGNAL"))


def _shell(statement: Statement) -> Instruction:
    _no_flags(statement)
    _at_least_one(statement, "SHELL")
    if not statement.words.json:
        raise DockerfileError("SHELL requires the arguments to be in JSON form")
    return Shell(statement, statement.words.args)


def _workdir(statement: Statement) -> Instruction:
    path = _exactly_one(statement, "WORKDIR")
    _no_flags(statement)
    return Workdir(statement, path)


def _onbuild(statement: Statement) -> Instruction:
    child = statement.words.child
    if child is None:
        raise DockerfileError("ONBUILD requires at least one argument")
    _no_flags(statement)
    trigger = child.keyword.upper()
    if trigger == "ONBUILD":
        raise DockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("MAINTAINER", "FROM"):
        raise DockerfileError(f"{trigger} isn't allowed as an ONBUILD trigger")
    text = _ONBUILD.sub("", statement.text, count=1)
    bodies = "".join(f"\n{doc.content}{doc.name}" for doc in statement.heredocs)
    return Onbuild(statement, text + bodies)


_READERS: dict[str, Callable[[Statement], Instruction]] = {
    "add": _add,
    "arg": _arg,
    "cmd": _cmd,
    "copy": _copy,
    "entrypoint": _entrypoint,
    "env": _env,
    "expose": _expose,
    "from": _from,
    "healthcheck": _healthcheck,
    "label": _label,
    "maintainer": _maintainer,
    "onbuild": _onbuild,
    "run": _run,
    "shell": _shell,
    "stopsignal": _stopsignal,
    "user": _user,
    "volume": _volume,
    "workdir": _workdir,
}
