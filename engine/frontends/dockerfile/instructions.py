"""The instructions of a Dockerfile as values, one class each. Texts are as written: nothing is expanded yet.

Every instruction keeps its statement, and with it where each part of its text stands.
"""

from __future__ import annotations

from engine.frontends.dockerfile.gotext import SPACE
from engine.frontends.dockerfile.heredoc import Heredoc
from engine.frontends.dockerfile.lexer import Statement
from engine.values import frozen


@frozen
class Instruction:
    """What all have in common."""

    statement: Statement

    @property
    def code(self) -> str:
        """The text as written, continuations joined."""
        return self.statement.text.strip(SPACE)

    @property
    def keyword(self) -> str:
        """The keyword as written."""
        return self.statement.words.keyword

    @property
    def lines(self) -> tuple[int, int]:
        """First and last line."""
        return self.statement.first, self.statement.last

    @property
    def comments(self) -> tuple[str, ...]:
        """The comment lines above."""
        return self.statement.comments


@frozen
class KeyValue:
    """A pair of ENV or LABEL. `old_form` is `NAME VALUE` without `=`."""

    key: str
    value: str
    old_form: bool = False


@frozen
class ArgName:
    """One name of an ARG; `value` None: it has no default."""

    key: str
    value: str | None = None
    description: str = ""


@frozen
class CommandLine:
    """A command: words to execute, or one text for the shell (`shell`), and the heredocs below."""

    words: tuple[str, ...]
    shell: bool
    heredocs: tuple[Heredoc, ...] = ()


@frozen
class Transfer:
    """What ADD and COPY have in common. `documents` are heredocs among the sources."""

    sources: tuple[str, ...]
    dest: str
    documents: tuple[Heredoc, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    excludes: tuple[str, ...] = ()


@frozen
class From(Instruction):
    """FROM: `base` as written; `name` in lower case, empty if there is none."""

    base: str
    name: str = ""
    platform: str = ""
    description: str = ""


@frozen
class Arg(Instruction):
    """ARG, with one or more names."""

    names: tuple[ArgName, ...]


@frozen
class Env(Instruction):
    """ENV."""

    pairs: tuple[KeyValue, ...]


@frozen
class Labels(Instruction):
    """LABEL."""

    pairs: tuple[KeyValue, ...]


@frozen
class Maintainer(Instruction):
    """MAINTAINER."""

    name: str


@frozen
class Add(Instruction):
    """ADD. `keep_git_dir` and `unpack` None: not given."""

    transfer: Transfer
    keep_git_dir: bool | None = None
    checksum: str = ""
    unpack: bool | None = None


@frozen
class CopyFiles(Instruction):
    """COPY. `source` is `--from`."""

    transfer: Transfer
    source: str = ""
    parents: bool = False


@frozen
class Device:
    """A `--device` of RUN."""

    name: str
    required: bool = False


@frozen
class Run(Instruction):
    """RUN. `mounts` are the texts of `--mount`; `mount_sources` what each has as `from`, empty for none."""

    command: CommandLine
    mounts: tuple[str, ...] = ()
    mount_sources: tuple[str, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    devices: tuple[Device, ...] = ()


@frozen
class Cmd(Instruction):
    """CMD."""

    command: CommandLine


@frozen
class Entrypoint(Instruction):
    """ENTRYPOINT."""

    command: CommandLine


@frozen
class Health:
    """A health check; times in nanoseconds, 0 where not given."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@frozen
class Healthcheck(Instruction):
    """HEALTHCHECK."""

    health: Health


@frozen
class Expose(Instruction):
    """EXPOSE; the ports sorted as written."""

    ports: tuple[str, ...]


@frozen
class User(Instruction):
    """USER."""

    user: str


@frozen
class Volume(Instruction):
    """VOLUME."""

    paths: tuple[str, ...]


@frozen
class StopSignal(Instruction):
    """STOPSIGNAL."""

    signal: str


@frozen
class Shell(Instruction):
    """SHELL."""

    words: tuple[str, ...]


@frozen
class Workdir(Instruction):
    """WORKDIR."""

    path: str


@frozen
class Onbuild(Instruction):
    """ONBUILD: the instruction to run later, as text with its heredocs."""

    trigger: str


@frozen
class Stage:
    """A FROM and what follows it."""

    start: From
    instructions: tuple[Instruction, ...]


@frozen
class Dockerfile:
    """A whole file. `args` are the ARGs before the first FROM; `empty_continuations` are (last line, text)."""

    stages: tuple[Stage, ...]
    args: tuple[Arg, ...]
    escape: str
    empty_continuations: tuple[tuple[int, str], ...] = ()
