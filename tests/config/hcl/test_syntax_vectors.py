"""The parser gives what the reference implementation gives: nodes, ranges and diagnostics of 141 snippets."""

import json
from pathlib import Path

import pytest

from bakery.config import number
from bakery.config.hcl import syntax
from bakery.config.hcl.parser import parse_body
from bakery.config.types import ANY
from bakery.config.values import UNKNOWN, Value
from bakery.diagnostics import SourceFile

VECTORS = Path(__file__).parents[2] / "vectors" / "hcl" / "syntax.json"
CASES = json.loads(VECTORS.read_text(encoding="utf-8"))

KINDS = {
    syntax.Literal: "LiteralValueExpr",
    syntax.Template: "TemplateExpr",
    syntax.TemplateWrap: "TemplateWrapExpr",
    syntax.TemplateJoin: "TemplateJoinExpr",
    syntax.ScopeTraversal: "ScopeTraversalExpr",
    syntax.RelativeTraversal: "RelativeTraversalExpr",
    syntax.Index: "IndexExpr",
    syntax.SplatItem: "AnonSymbolExpr",
    syntax.Splat: "SplatExpr",
    syntax.Call: "FunctionCallExpr",
    syntax.Conditional: "ConditionalExpr",
    syntax.Binary: "BinaryOpExpr",
    syntax.Unary: "UnaryOpExpr",
    syntax.Tuple: "TupleConsExpr",
    syntax.ObjectKey: "ObjectConsKeyExpr",
    syntax.Object: "ObjectConsExpr",
    syntax.For: "ForExpr",
    syntax.Parens: "ParenthesesExpr",
    syntax.SyntaxErrorExpr: "ExprSyntaxError",
}


def _range(node: syntax.Node) -> list[int]:
    """[start line, column, byte, end line, column, byte]"""
    ends = (node.span.start, node.span.end)
    return [number for end in ends for number in (end.line, end.column, len(node.source.text[: end.offset].encode()))]


def _literal(value: Value) -> str:
    """A literal in the notation of the vectors."""
    raw = value.raw
    if raw is UNKNOWN:
        return "cty.DynamicVal" if value.type == ANY else "cty.UnknownVal(cty.Number)"
    if raw is None:
        return "cty.NullVal(cty.DynamicPseudoType)"
    if isinstance(raw, bool):
        return f"cty.{raw}"
    if isinstance(raw, str):
        return f"cty.StringVal({json.dumps(raw, ensure_ascii=False)})"
    kind = "Int" if isinstance(raw, int) else "Float"
    return f"cty.Number{kind}Val({number.to_text(raw)})"


def _name(node: syntax.Expression) -> str | None:
    match node:
        case syntax.Literal(value=value):
            return _literal(value)
        case syntax.ScopeTraversal(name=name):
            return name
        case syntax.Call(name=name, expand_final=expand):
            return name + "..." * expand
        case _:
            return None


def _nodes(body: syntax.Body) -> list[dict]:
    found = []
    for attribute in body.attributes.values():
        found.append({"k": "Attribute", "v": attribute.name, "r": _range(attribute)})
        for node in syntax.walk(attribute.expr):
            found.append({"k": KINDS[type(node)], "v": _name(node), "r": _range(node)})
    for block in body.blocks:
        found.append({"k": "Block", "v": " ".join([block.type, *block.labels]), "r": _range(block)})
        found += _nodes(block.body)
    return found


def _sorted(nodes: list[dict]) -> list[dict]:
    """The vectors list attributes in no particular order."""
    return sorted(nodes, key=lambda node: (node["r"], node["k"], node["v"] or ""))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_snippet_reads_as_in_the_reference_implementation(case: dict) -> None:
    body, diagnostics = parse_body(SourceFile("snippet.hcl", case["text"]))

    assert [str(diagnostic).removeprefix("snippet.hcl:") for diagnostic in diagnostics] == (case["diags"] or [])
    wanted = [{"k": node["k"], "v": node.get("v"), "r": node["r"]} for node in case["nodes"] or []]
    assert _sorted(_nodes(body)) == _sorted(wanted)


def test_there_are_as_many_snippets_as_there_were() -> None:
    assert len(CASES) == 141
