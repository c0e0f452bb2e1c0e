"""The syntax tree of HCL bodies, expressions and templates.

Node kinds follow the reference implementation (hashicorp/hcl `hclsyntax`), so that ranges and diagnostics agree with
it. Every node knows its source and offsets; `span` works out lines and columns on demand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from bakery.config.hcl.source import Source
from bakery.config.values import Value
from bakery.diagnostics import Diagnostic, Span
from bakery.values import frozen


@frozen
class Node:
    """Anything with a place: the text of `source` from offset `start` to before `end`."""

    source: Source = field(repr=False, compare=False)
    start: int
    end: int

    @property
    def span(self) -> Span:
        """The place in the user's file."""
        return self.source.span(self.start, self.end)


# --- traversal steps ---------------------------------------------------------------------------------------------


@frozen
class AttributeStep(Node):
    """`.name`; the span includes the dot."""

    name: str


@frozen
class IndexStep(Node):
    """`[key]` or legacy `.0` with a literal key; the span includes the brackets."""

    key: Value


Step = AttributeStep | IndexStep


# --- expressions -------------------------------------------------------------------------------------------------


@frozen
class Literal(Node):
    """A number, `true`, `false`, `null`, or the literal text of a template; an unknown value after a syntax error."""

    value: Value


@frozen
class Template(Node):
    """Parts joined to a string; a quoted string without sequences has at most one literal part."""

    parts: tuple[Expression, ...]


@frozen
class TemplateWrap(Node):
    """A template that is one lone interpolation: it keeps the type of what it wraps."""

    wrapped: Expression


@frozen
class TemplateJoin(Node):
    """A `%{for}` directive: the strings its for-expression makes, joined."""

    items: For


@frozen
class JsonString(Node):
    """A string of a JSON or YAML file: a template.

    `source.text` is the decoded text, for readers who expect a bare expression in it. `problems` are those of the
    template, which matter only if somebody evaluates it. `token` is where in the file the string stands, if that is
    more than its text (the quotes).
    """

    template: Expression
    problems: tuple[Diagnostic, ...] = ()
    token: tuple[int, int] | None = None

    @property
    def span(self) -> Span:
        """The place in the user's file, quotes included."""
        return self.source.file_span(*self.token) if self.token else self.source.span(self.start, self.end)


@frozen
class ScopeTraversal(Node):
    """A name of the scope followed by attribute and literal index steps."""

    name: str
    steps: tuple[Step, ...] = ()
    name_end: int = 0

    @property
    def name_span(self) -> Span:
        """Where the name stands."""
        return self.source.span(self.start, self.name_end)


@frozen
class RelativeTraversal(Node):
    """Steps taken from the value of another expression."""

    target: Expression
    steps: tuple[Step, ...]


@frozen
class Index(Node):
    """`collection[key]` with a key that must be evaluated; `open` is the offset of the bracket."""

    collection: Expression
    key: Expression
    open: int


@frozen
class SplatItem(Node):
    """The current element within the `each` of a splat; the span is the `[*]` or `.*` marker."""


@frozen
class Splat(Node):
    """`target[*]` or `target.*` followed by what to do with each element."""

    target: Expression
    each: Expression
    item: SplatItem
    marker_start: int
    marker_end: int

    @property
    def marker_span(self) -> Span:
        """Where `[*]` or `.*` stands."""
        return self.source.span(self.marker_start, self.marker_end)


@frozen
class Call(Node):
    """A function call; `expand_final` for `f(list...)`."""

    name: str
    arguments: tuple[Expression, ...]
    expand_final: bool
    name_end: int
    open: int
    close: int

    @property
    def name_span(self) -> Span:
        """Where the name stands."""
        return self.source.span(self.start, self.name_end)

    @property
    def close_span(self) -> Span:
        """Where the closing parenthesis stands."""
        return self.source.span(self.close, self.end)


@frozen
class Conditional(Node):
    """`condition ? true : false`, also of an `%{if}` directive."""

    condition: Expression
    true: Expression
    false: Expression


@frozen
class Binary(Node):
    """`left operator right`; the operator as written."""

    operator: str
    left: Expression
    right: Expression


@frozen
class Unary(Node):
    """`-operand` or `!operand`."""

    operator: str
    operand: Expression


@frozen
class Tuple(Node):
    """`[a, b]`; `open_end` is the offset after the bracket."""

    elements: tuple[Expression, ...]
    open_end: int


@frozen
class ObjectKey(Node):
    """A key of an object: a bare identifier means its own name, anything else is evaluated."""

    expr: Expression
    forced: bool = False  # written in parentheses: evaluate even a bare identifier


@frozen
class ObjectItem:
    """One `key = value` of an object."""

    key: Expression
    value: Expression


@frozen
class Object(Node):
    """`{key = value}`; `open_end` is the offset after the brace."""

    items: tuple[ObjectItem, ...]
    open_end: int


@frozen
class For(Node):
    """`[for k, v in collection : value if condition]`, or with `key => value...` between braces."""

    key_name: str | None
    value_name: str
    collection: Expression
    key: Expression | None
    value: Expression
    condition: Expression | None
    group: bool
    open_end: int
    close: int


@frozen
class Parens(Node):
    """An expression in parentheses."""

    inner: Expression


@frozen
class SyntaxErrorExpr(Node):
    """What remains of an expression that could not be read; evaluates to an unknown value."""


Expression = (
    Literal
    | Template
    | TemplateWrap
    | TemplateJoin
    | JsonString
    | ScopeTraversal
    | RelativeTraversal
    | Index
    | SplatItem
    | Splat
    | Call
    | Conditional
    | Binary
    | Unary
    | Tuple
    | ObjectKey
    | Object
    | For
    | Parens
    | SyntaxErrorExpr
)


# --- structure ---------------------------------------------------------------------------------------------------


@frozen
class Attribute(Node):
    """`name = expr`; the span runs from the name to the end of the expression."""

    name: str
    expr: Expression
    name_start: int
    name_end: int

    @property
    def name_span(self) -> Span:
        """Where the name stands."""
        return self.source.span(self.name_start, self.name_end)


@frozen
class Block(Node):
    """`type "label" { … }`; the span is the whole block."""

    type: str
    labels: tuple[str, ...]
    body: Body
    type_range: tuple[int, int]
    label_ranges: tuple[tuple[int, int], ...]
    open_range: tuple[int, int]
    close_range: tuple[int, int]

    @property
    def type_span(self) -> Span:
        """Where the block type stands."""
        return self.source.span(*self.type_range)

    @property
    def label_spans(self) -> tuple[Span, ...]:
        """Where each label stands, quotes included."""
        return tuple(self.source.span(*label) for label in self.label_ranges)

    @property
    def header_span(self) -> Span:
        """What points at a block as a whole: its type to its last label, or in JSON, the opening brace."""
        end = self.label_ranges[-1][1] if self.label_ranges else self.type_range[1]
        is_one_line = "\n" not in self.source.text[self.start : end] and self.start == self.type_range[0]
        return self.source.span(self.start, end) if is_one_line else self.open_brace_span

    @property
    def open_brace_span(self) -> Span:
        """Where `{` stands."""
        return self.source.span(*self.open_range)

    @property
    def close_brace_span(self) -> Span:
        """Where `}` stands."""
        return self.source.span(*self.close_range)


@frozen
class Body(Node):
    """Attributes by name in file order (of a duplicate the first counts) and blocks in file order."""

    attributes: dict[str, Attribute]
    blocks: tuple[Block, ...]


# --- questions about expressions ---------------------------------------------------------------------------------


def children(expr: Expression) -> tuple[Expression, ...]:
    """The expressions directly within an expression, in evaluation order."""
    match expr:
        case Template(parts=parts):
            return parts
        case TemplateWrap(wrapped=inner) | JsonString(template=inner) | Parens(inner=inner):
            return (inner,)
        case TemplateJoin(items=items):
            return (items,)
        case RelativeTraversal(target=target):
            return (target,)
        case Index(collection=collection, key=key):
            return (collection, key)
        case Splat(target=target, each=each):
            return (target, each)
        case Call(arguments=arguments):
            return arguments
        case Conditional(condition=condition, true=true, false=false):
            return (condition, true, false)
        case Binary(left=left, right=right):
            return (left, right)
        case Unary(operand=operand):
            return (operand,)
        case Tuple(elements=elements):
            return elements
        case ObjectKey(expr=key, forced=forced):
            return () if not forced and keyword(key) is not None else (key,)
        case Object(items=items_):
            return tuple(part for item in items_ for part in (item.key, item.value))
        case For(collection=collection, key=for_key, value=value, condition=for_condition):
            return tuple(part for part in (collection, for_key, value, for_condition) if part is not None)
        case _:
            return ()


def keyword(expr: Expression) -> str | None:
    """The name that an expression consists of, if it is a lone identifier (or `true`, `false`, `null`)."""
    match expr:
        case ScopeTraversal(name=name, steps=()):
            return name
        case Literal(source=source, start=start, end=end) if (text := source.text[start:end]) in _WORDS:
            return text
        case _:
            return None


_WORDS = frozenset({"true", "false", "null"})


def first_span(expr: Expression) -> Span:
    """What messages mark to point at an expression that may be long: its beginning, as the peer chooses it."""
    while True:
        match expr:
            case Template(parts=(first, *_)) | Conditional(condition=first) | Binary(left=first):
                expr = first
            case ObjectKey(expr=first) | Parens(inner=first) | TemplateJoin(items=first):
                expr = first
            case Call(source=source, start=start, open=opener):
                return source.span(start, opener + 1)
            case Index(source=source, open=opener):
                return source.span(opener, opener + 1)
            case Tuple(open_end=end) | Object(open_end=end) | For(open_end=end):
                return expr.source.span(expr.start, end)
            case Unary(source=source, start=start):
                return source.span(start, start + 1)
            case Splat():
                return expr.marker_span
            case _:
                return expr.span


def walk(expr: Expression) -> Iterator[Expression]:
    """The expression and everything within it, in pre-order."""
    todo = [expr]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(reversed(children(node)))


def functions(expr: Expression) -> set[str]:
    """The names of the functions that an expression calls."""
    return {node.name for node in walk(expr) if isinstance(node, Call)}


def variables(expr: Expression) -> list[ScopeTraversal]:
    """The names of the scope that an expression refers to, in order, with their steps; not what it binds itself."""
    found: list[ScopeTraversal] = []
    todo: list[tuple[Expression, frozenset[str]]] = [(expr, frozenset())]
    while todo:
        node, bound = todo.pop()
        if isinstance(node, ScopeTraversal):
            if node.name not in bound:
                found.append(node)
        elif isinstance(node, For):
            inner = bound | {node.value_name} | ({node.key_name} if node.key_name else set())
            rest = [part for part in (node.key, node.value, node.condition) if part is not None]
            todo.extend((part, inner) for part in reversed(rest))
            todo.append((node.collection, bound))
        else:
            todo.extend((part, bound) for part in reversed(children(node)))
    return found
