"""Checks of a Dockerfile as it is written, before anything in it is given a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from engine.frontends.dockerfile.expand import Expander, ExpansionError
from engine.frontends.dockerfile.gotext import quote
from engine.frontends.dockerfile.instructions import Arg, Dockerfile, From, Instruction
from engine.frontends.dockerfile.lexer import Statement, lex
from engine.frontends.dockerfile.lint import rules
from engine.frontends.dockerfile.lint.report import Report
from engine.frontends.dockerfile.lower import reference
from engine.frontends.dockerfile.lower.args import global_values
from engine.frontends.dockerfile.parser import parse_instruction
from engine.frontends.dockerfile.source import DockerfileError
from engine.llb.state import Env

_RESERVED = ("context", "scratch")
_WITH_NAME = 3


def check(report: Report, dockerfile: Dockerfile) -> None:
    """All checks of a file that could be read."""
    for last, _ in dockerfile.empty_continuations:
        report.add(rules.NO_EMPTY_CONTINUATION, (last, last), "Empty continuation line")
    for instruction in _in_order(dockerfile):
        _before(report, instruction.statement)
        _after(report, instruction)
    _stage_names(report, dockerfile)
    _casing(report, dockerfile)


def check_broken(report: Report, data: bytes) -> None:
    """The checks that can be made of a file that cannot be read, up to the instruction that is wrong."""
    try:
        lexed = lex(data)
        for last, _ in lexed.empty_continuations:
            report.add(rules.NO_EMPTY_CONTINUATION, (last, last), "Empty continuation line")
        for statement in lexed.statements:
            _before(report, statement)
            _after(report, parse_instruction(statement))
    except DockerfileError:
        return


def check_default_bases(report: Report, dockerfile: Dockerfile, known: Env, expander: Expander) -> None:
    """Whether base images have valid names when no build argument is given. `known` are the predefined values."""
    try:
        values = global_values(known, dockerfile.args, {}, expander)
        for stage in dockerfile.stages:
            name = expander.text(stage.start.base, values)
            try:
                reference.parse(name)
            except reference.BadReference:
                detail = f"Default value for ARG {stage.start.base} results in empty or invalid base image name"
                report.add(rules.INVALID_DEFAULT_ARG_IN_FROM, stage.start, detail, focus=stage.start.base, comments=())
    except (ExpansionError, DockerfileError):
        return  # the build fails by the same reason, or is given a value that helps


def _in_order(dockerfile: Dockerfile) -> Iterator[Instruction]:
    yield from dockerfile.args
    for stage in dockerfile.stages:
        yield stage.start
        yield from stage.instructions


def _before(report: Report, statement: Statement) -> None:
    """What is checked of a statement even if it makes no sense."""
    keyword, words = statement.words.keyword, statement.words.args
    if keyword.lower() == "maintainer":
        detail = "Maintainer instruction is deprecated in favor of using label"
        report.add(rules.MAINTAINER_DEPRECATED, statement, detail, focus=keyword)
    elif keyword.lower() == "from" and len(words) >= _WITH_NAME:
        if len(words) == _WITH_NAME and words[2] != words[2].lower():
            detail = f"Stage name '{words[2]}' should be lowercase"
            report.add(rules.STAGE_NAME_CASING, statement, detail, focus=words[2])
        _from_as(report, statement, keyword, words[1])


def _from_as(report: Report, statement: Statement, keyword: str, word: str) -> None:
    lower, upper = keyword == keyword.lower(), keyword == keyword.upper()
    if (lower and word != word.lower()) or (upper and not lower and word != word.upper()):
        detail = f"'{word}' and '{keyword}' keywords' casing do not match"
        report.add(rules.FROM_AS_CASING, statement, detail, focus=f" {word} ")


def _after(report: Report, instruction: Instruction) -> None:
    if isinstance(instruction, From):
        _description(report, instruction, [instruction.name] if instruction.name else [])
    elif isinstance(instruction, Arg):
        _description(report, instruction, [name.key for name in instruction.names])


def _description(report: Report, instruction: Instruction, names: list[str]) -> None:
    comments = instruction.comments
    if not comments or not names or comments[-1].split(" ", 1)[0] in names:
        return
    keyword = "FROM" if isinstance(instruction, From) else "ARG"
    example = names[0] if len(names) == 1 else "<arg_key>"
    detail = f"Comment for {keyword} should follow the format: `# {example} <description>`"
    report.add(rules.INVALID_DEFINITION_DESCRIPTION, instruction, detail)


def _stage_names(report: Report, dockerfile: Dockerfile) -> None:
    seen: set[str] = set()
    for start in (stage.start for stage in dockerfile.stages if stage.start.name):
        if start.name in _RESERVED:
            detail = f"Stage name should not use the same name as reserved stage {quote(start.name)}"
            report.add(rules.RESERVED_STAGE_NAME, start, detail, focus=start.name, comments=())
        if start.name in seen:
            detail = f"Duplicate stage name {quote(start.name)}, stage names should be unique"
            report.add(rules.DUPLICATE_STAGE_NAME, start, detail, focus=start.name, comments=())
        seen.add(start.name)


def _casing(report: Report, dockerfile: Dockerfile) -> None:
    """Keywords in the case that most have. ARGs before the first FROM are not asked, as the peer does."""
    instructions = [item for stage in dockerfile.stages for item in (stage.start, *stage.instructions)]
    lower = _majority_lower(item.keyword for item in instructions)
    wanted = "lowercase" if lower else "uppercase"
    for item in instructions:
        word = item.keyword
        if word != (word.lower() if lower else word.upper()):
            detail = f"Command '{word}' should match the case of the command majority ({wanted})"
            report.add(rules.CONSISTENT_INSTRUCTION_CASING, item, detail, focus=word, comments=())


def _majority_lower(words: Iterable[str]) -> bool:
    found = Counter(
        "lower" if word == word.lower() else "upper" for word in words if word in (word.lower(), word.upper())
    )
    return found["lower"] > found["upper"]
