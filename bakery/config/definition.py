"""The blocks of all HCL and JSON files of one command, merged by name but not yet evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from typing import TypeVar

from bakery.config.attributes import ATTRIBUTES, OWN_ATTRIBUTES
from bakery.config.edits import NAMES
from bakery.config.hcl.syntax import Attribute, Block, Body
from bakery.diagnostics import BakeryError, Diagnostic, Severity, SourceFile, Span, did_you_mean
from bakery.values import frozen

T = TypeVar("T")

TEMPLATE = "{{ }}"
"""The function that renders Jinja texts of own YAML files; no file can write its name."""

NAME = re.compile(r"[a-zA-Z0-9_-]+")
"""What targets and groups may be called."""

_KNOWN = {
    "variable": frozenset({"default", "type", "description"}),
    "validation": frozenset({"condition", "error_message"}),
    "function": frozenset({"params", "variadic_params", "result"}),
    "group": frozenset({"targets", "description"}),
    "target": frozenset(ATTRIBUTES) | {"matrix", "name", "inherits"},
}


@frozen
class Dialect:
    """What a file may use, which its name decides: a portable file what the peer knows, an own file more.

    `strict` makes unknown names errors.
    """

    own: bool = False
    strict: bool = False


@frozen
class Origin:
    """One file a block came from. `folder` is where its relative contexts start, seen from the working folder.

    An included file takes all its relative paths along (`included`), another one at most its contexts, as the peer.
    """

    folder: str = ""
    dialect: Dialect = Dialect()
    included: bool = False


@frozen
class TargetBlock:
    """One target block and the file it stands in."""

    block: Block
    origin: Origin
    span: Span

    @property
    def label(self) -> str:
        """The name of the block, which a matrix may expand to others."""
        return self.block.labels[0]


@frozen
class Definition:
    """Blocks by name. Of variables, functions, groups and top-level attributes the last of a name counts."""

    variables: dict[str, Block] = field(default_factory=dict)
    functions: dict[str, Block] = field(default_factory=dict)
    attributes: dict[str, Attribute] = field(default_factory=dict)
    groups: dict[str, Block] = field(default_factory=dict)
    targets: list[TargetBlock] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)

    def add(self, body: Body, origin: Origin) -> None:
        """Merge a file over what is there; what is wrong with it goes to `problems`."""
        self.attributes.update(body.attributes)
        for block in body.blocks:
            if block.type not in _KNOWN or block.type == "validation":
                self._unknown("block type", block.type, _KNOWN.keys() - {"validation"}, block.type_span, origin)
                continue
            if self._labelled(block):
                self._check_attributes(block, origin)
                self._add_block(block, origin)

    def _add_block(self, block: Block, origin: Origin) -> None:
        label = block.labels[0]
        match block.type:
            case "variable":
                self.variables[label] = block
            case "function":
                self.functions[label] = block
            case "group":
                self._check_name(block)
                self.groups.pop(label, None)
                self.groups[label] = block
            case _:
                # The label of a matrix is only the name of a group made later, with the same rules.
                self._check_name(block)
                self.targets.append(TargetBlock(block, origin, block.header_span))

    def _labelled(self, block: Block) -> bool:
        if len(block.labels) == 1:
            return True
        if not block.labels:
            self._error(
                f"Missing name for {block.type}",
                f"All {block.type} blocks must have 1 labels (name).",
                block.open_brace_span,
            )
        else:
            self._error(
                f"Extraneous label for {block.type}",
                f"Only 1 labels (name) are expected for {block.type} blocks.",
                block.label_spans[1],
            )
        return False

    def _check_name(self, block: Block) -> None:
        if not NAME.fullmatch(block.labels[0]):
            self.problems.append(invalid_name(block.label_spans[0]))

    def _check_attributes(self, block: Block, origin: Origin) -> None:
        known = known_attributes(block.type, origin.dialect)
        for name, attribute in block.body.attributes.items():
            if block.type == "variable" and name == "validation":
                detail = '"validation" is a block, not an attribute: write `validation { … }` without `=`.'
                severity = Severity.ERROR if origin.dialect.strict else Severity.WARNING
                self.problems.append(Diagnostic("Unknown attribute in variable", detail, attribute.name_span, severity))
            elif name not in known and block.type == "function":
                self.problems.append(_unsupported(attribute, known))
            elif name not in known:
                self._unknown(f"attribute in {block.type}", name, known, attribute.name_span, origin)
        for inner in block.body.blocks:
            if block.type == "variable" and inner.type == "validation":
                self._check_validation(inner)
            elif block.type == "function":
                self._error("Unsupported block type", _no_block(inner.type), inner.type_span)
            elif inner.type in known:
                self.problems.append(_attribute_as_block(block, inner, origin.dialect.strict))
            else:
                self._unknown(f"block in {block.type}", inner.type, known, inner.type_span, origin)

    def _check_validation(self, block: Block) -> None:
        known = _KNOWN["validation"]
        for name, attribute in block.body.attributes.items():
            if name not in known:
                self.problems.append(_unsupported(attribute, known))
        for inner in block.body.blocks:
            self._error("Unsupported block type", _no_block(inner.type), inner.type_span)

    def _unknown(self, what: str, name: str, known: Iterable[str], span: Span, origin: Origin) -> None:
        self.problems.append(unknown_name(what, name, known, span, origin.dialect.strict))

    def _error(self, summary: str, detail: str, span: Span) -> None:
        self.problems.append(Diagnostic(summary, detail, span))


def known_attributes(block_type: str, dialect: Dialect) -> frozenset[str]:
    """The attributes that a block of a type may have."""
    if block_type == "target":
        return _KNOWN["target"] | NAMES.keys() if dialect.own else _KNOWN["target"] - OWN_ATTRIBUTES
    return _KNOWN[block_type]


def unknown_name(what: str, name: str, known: Iterable[str], span: Span | None, strict: bool) -> Diagnostic:
    """An unknown block or attribute: the peer ignores it silently, we warn, and in strict files it is an error."""
    near = did_you_mean(name, known)
    return Diagnostic(
        f"Unknown {what}",
        f'"{name}" is not known here' + (f', did you mean "{near}"?' if near else "."),
        span,
        Severity.ERROR if strict else Severity.WARNING,
    )


def _attribute_as_block(block: Block, inner: Block, strict: bool) -> Diagnostic:
    name = inner.type
    detail = f'"{name}" is an attribute of {block.type}, not a block: write `{name} = ` before what is in braces.'
    severity = Severity.ERROR if strict else Severity.WARNING
    return Diagnostic(f"Unknown block in {block.type}", detail, inner.type_span, severity)


def _unsupported(attribute: Attribute, known: Iterable[str]) -> Diagnostic:
    """A misspelled name in a function or validation: there the peer does not ignore it either."""
    name, span = attribute.name, attribute.name_span
    near = did_you_mean(name, known)
    hint = f' Did you mean "{near}"?' if near else ""
    if attribute.source.text[attribute.start] == '"':  # as JSON has it
        return Diagnostic(
            "Extraneous JSON object property", f'No argument or block type is named "{name}".{hint}', span
        )
    return Diagnostic("Unsupported argument", f'An argument named "{name}" is not expected here.{hint}', span)


def _no_block(name: str) -> str:
    return f'Blocks of type "{name}" are not expected here.'


def invalid_name(span: Span | None, name: str = "") -> Diagnostic:
    """A target or group with a name that the command line could not take."""
    hint = f'"{name}" has other characters; sanitize() replaces them' if name else ""
    return Diagnostic("Invalid name", 'only "[a-zA-Z0-9_-]+" are allowed', span, hint=hint)


def missing(attribute: str, block: Block) -> Diagnostic:
    """A block that lacks an attribute it must have; points where the block opens, as the peer does."""
    return Diagnostic(
        "Missing required argument",
        f'The argument "{attribute}" is required, but no definition was found.',
        body_start(block),
    )


def body_start(block: Block) -> Span:
    """The point where the peer says that a body begins: before the brace, or the attribute of a one-line block."""
    source, start = block.source, block.open_range[0]
    for attribute in block.body.attributes.values():
        if "\n" not in source.text[start : attribute.start] and source.text[attribute.start] != '"':  # as JSON has it
            start = attribute.start
    return source.span(start, start)


class Problems:
    """Collects diagnostics of many independent steps, so that one mistake does not hide the next."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def attempt(self, step: Callable[[], T]) -> T | None:
        """The result of a step, or None after noting what it raised."""
        try:
            return step()
        except BakeryError as error:
            self.found.extend(error.diagnostics)
            return None

    def stop_if_any(self, in_order_of: Sequence[SourceFile] = ()) -> None:
        """Raise what was collected, if anything was, in the order of files and lines; equals count once."""
        if not self.found:
            return
        order = {id(file): number for number, file in enumerate(in_order_of)}

        def place(problem: Diagnostic) -> tuple[int, int]:
            span = problem.span
            return (0, 0) if span is None or not order else (order.get(id(span.file), 0), span.start.offset)

        raise BakeryError(*sorted(dict.fromkeys(self.found), key=place))
