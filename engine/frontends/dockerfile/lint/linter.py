"""The checks that need to know values: they watch a conversion go by."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine import platforms
from engine.frontends.dockerfile.dockerignore import IgnoreMatcher
from engine.frontends.dockerfile.expand import Expansion
from engine.frontends.dockerfile.gotext import quote, suggestion
from engine.frontends.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    CopyFiles,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    Labels,
    Transfer,
    Workdir,
)
from engine.frontends.dockerfile.lint import own, rules
from engine.frontends.dockerfile.lint.report import Report
from engine.frontends.dockerfile.lower import paths
from engine.frontends.dockerfile.lower import platform as spelling
from engine.frontends.dockerfile.lower.contexts import Context
from engine.frontends.dockerfile.lower.scope import Observer
from engine.frontends.dockerfile.lower.stage import Stage
from engine.llb.ops import Platform
from engine.llb.paths import clean
from engine.llb.state import Env as Variables

_TARGET = "TARGETPLATFORM"
_QUIET = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})
_ONCE = (Cmd, Entrypoint, Healthcheck)


def _words(*names: str) -> re.Pattern[str]:
    return re.compile(rf"(?:_|^)(?:{'|'.join(names)})(?:_|$)", re.IGNORECASE)


_SECRET = _words("apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token")
_NO_SECRET = _words("public", "file", "version")


class Linter(Observer):
    """Checks as instructions are lowered. Each hook is called where the peer checks, so that order and errors agree."""

    def __init__(self, report: Report, context: Context, args: tuple[Arg, ...]) -> None:
        self._report = report
        self._global_names = [name.key for arg in args for name in arg.names]
        self._context = context
        self._ignored: IgnoreMatcher | None = None
        self._entered: set[Stage] = set()
        self._once: dict[tuple[Stage, type], Instruction] = {}

    # ------------------------------------------------------------ FROM

    def base_named(self, stage: Stage, start: From, found: Expansion, known: Variables) -> None:
        """UndefinedArgInFrom."""
        self._undeclared(start, found, known)

    def platform_named(self, stage: Stage, start: From, found: Expansion, known: Variables) -> None:
        """UndefinedArgInFrom, RedundantTargetPlatform, FromPlatformFlagConstDisallowed."""
        self._undeclared(start, found, known)
        if found.found == {_TARGET} and not found.missing and found.text == known.get(_TARGET):
            detail = (
                f"Setting platform to predefined {start.platform} in FROM is redundant as this is the default behavior"
            )
            self._report.add(rules.REDUNDANT_TARGET_PLATFORM, start, detail, focus=f"--platform={start.platform}")
        if not found.found and not found.missing and not _names_platform(start.name, found.text):
            detail = f"FROM --platform flag should not use constant value {quote(found.text)}"
            self._report.add(
                rules.FROM_PLATFORM_FLAG_CONST_DISALLOWED, start, detail, focus=f"--platform={start.platform}"
            )

    def _undeclared(self, start: From, found: Expansion, known: Variables) -> None:
        names = [*self._global_names, *known]
        for name in sorted(found.missing.difference(names)):
            detail = f"FROM argument '{name}' is not declared" + _meant(name, names)
            self._report.add(rules.UNDEFINED_ARG_IN_FROM, start, detail, focus=_written(start, name))

    def based(self, stage: Stage, wanted: Platform, name: str) -> None:
        """InvalidBaseImagePlatform."""
        found = stage.image.platform
        if (wanted.os, wanted.architecture) == (found.os, found.architecture):
            return
        expected, actual = (spelling.format_all(platforms.normalize(one)) for one in (wanted, found))
        detail = (
            f"Base image {name} was pulled with platform {quote(actual)}, expected {quote(expected)} for current build"
        )
        where = stage.start or stage.lines or (0, 0)
        self._report.add(rules.INVALID_BASE_IMAGE_PLATFORM, where, detail, focus=name, comments=())

    # ------------------------------------------------------------ the instructions of a stage

    def unset(self, instruction: Instruction, names: frozenset[str], stage: Stage) -> None:
        """UndefinedVar."""
        env = list(stage.state.env)
        for name in sorted(names - {arg.key for arg in stage.args} - _QUIET):
            detail = f"Usage of undefined variable '${name}'" + _meant(name, env, "$")
            self._report.add(rules.UNDEFINED_VAR, instruction, detail, focus=_written(instruction, name))

    def assigned(self, instruction: Env, keys: Iterable[str]) -> None:
        """LegacyKeyValueFormat and SecretsUsedInArgOrEnv, for ENV."""
        for pair, key in zip(instruction.pairs, keys, strict=True):
            if pair.old_form:
                self._old_form(instruction)
            self._secret("ENV", key, instruction)

    def declared(self, instruction: Arg, key: str) -> None:
        """SecretsUsedInArgOrEnv, for ARG."""
        self._secret("ARG", key, instruction)

    def _secret(self, keyword: str, key: str, instruction: Instruction) -> None:
        if _SECRET.search(key) and not _NO_SECRET.search(key):
            detail = f"Do not use ARG or ENV instructions for sensitive data ({keyword} {quote(key)})"
            self._report.add(rules.SECRETS_USED_IN_ARG_OR_ENV, instruction, detail, focus=key)

    def _old_form(self, instruction: Env | Labels) -> None:
        word = instruction.keyword
        detail = f'"{word} key=value" should be used instead of legacy "{word} key value" format'
        self._report.add(rules.LEGACY_KEY_VALUE_FORMAT, instruction, detail)

    def entered(self, instruction: Workdir, stage: Stage, path: str) -> None:
        """WorkdirRelativePath: only the first WORKDIR of a stage and what it stands on."""
        os = stage.platform.os if stage.platform else ""
        known, below = False, stage.base
        while below is not None and not known:
            known, below = below in self._entered, below.base
        if stage not in self._entered and not known and not paths.is_absolute(path, os):
            detail = f"Relative workdir {quote(path)} can have unexpected results if the base image changes"
            self._report.add(rules.WORKDIR_RELATIVE_PATH, instruction, detail, focus=instruction.path)
        self._entered.add(stage)

    def exposed(self, instruction: Expose, port: str) -> None:
        """ExposeProtoCasing and ExposeInvalidFormat."""
        outer, _, inner = port.rpartition(":")
        protocol = inner.partition("/")[2]
        if protocol != protocol.lower():
            detail = f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"
            self._report.add(rules.EXPOSE_PROTO_CASING, instruction, detail, focus=port)
        if outer.strip(":"):
            detail = f"EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
            self._report.add(rules.EXPOSE_INVALID_FORMAT, instruction, detail, focus=port)

    def lowering(self, instruction: Instruction, stage: Stage) -> None:
        """LegacyKeyValueFormat for LABEL, MultipleInstructionsDisallowed, JSONArgsRecommended."""
        if isinstance(instruction, Labels):
            for _ in (pair for pair in instruction.pairs if pair.old_form):
                self._old_form(instruction)
        if not isinstance(instruction, _ONCE):
            return
        word, key = instruction.keyword, (stage, type(instruction))
        if (before := self._once.get(key)) is not None:
            detail = (
                f"Multiple {word} instructions should not be used in the same stage because only the last one will be "
                "used"
            )
            # It is the earlier one that is ignored. The comments that count are those above the later one.
            self._report.add(
                rules.MULTIPLE_INSTRUCTIONS_DISALLOWED, before, detail, focus=word, comments=instruction.comments
            )
        self._once[key] = instruction
        if isinstance(instruction, Cmd | Entrypoint) and instruction.command.shell and not stage.image.words("Shell"):
            detail = f"JSON arguments recommended for {word} to prevent unintended behavior related to OS signals"
            self._report.add(rules.JSON_ARGS_RECOMMENDED, instruction, detail)

    # ------------------------------------------------------------ ADD and COPY

    def copied(self, instruction: Add | CopyFiles, transfer: Transfer, dest: str, source: Stage | None) -> None:
        """What the peer accepts in silence. `source`: the stage that files come from, None for the build's context."""
        own.check(self._report, self._context, instruction, transfer, dest, from_context=source is None)

    def copied_file(self, instruction: Add | CopyFiles, path: str) -> None:
        """CopyIgnoredFile: a source in the context that .dockerignore leaves out, unless that has exceptions."""
        if not self._context.ignored:
            return
        if self._ignored is None:
            self._ignored = IgnoreMatcher.of(self._context.ignored)
        if self._ignored.has_exceptions:
            return
        path = clean(path)
        if path in (".", "/") and not self._ignored.excludes_all:
            return
        if self._ignored.matches(path):
            verb = "Add" if isinstance(instruction, Add) else "Copy"
            detail = f"Attempting to {verb} file {quote(path)} that is excluded by .dockerignore"
            self._report.add(rules.COPY_IGNORED_FILE, instruction, detail, focus=path)


def _names_platform(stage: str, text: str) -> bool:
    """Whether a stage's name says for which platform it is; also true for a text that is no platform."""
    try:
        wanted = spelling.parse(text)
    except spelling.PlatformError:
        return True
    return wanted.os in stage or wanted.architecture in stage


def _meant(name: str, options: Iterable[str], sign: str = "") -> str:
    near = suggestion(name, options)
    return f" (did you mean {sign}{near}?)" if near else ""


def _written(instruction: Instruction, name: str) -> str:
    """A variable's use as it stands in an instruction."""
    for form in (f"${name}", f"${{{name}"):
        match = re.search(re.escape(form) + r"(?!\w)", instruction.statement.text)
        if match:
            return match[0]
    return ""
