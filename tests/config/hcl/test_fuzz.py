"""Mutated files make diagnostics and nothing else: a short turn of the fuzzer, and properties over made-up texts."""

import contextlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hcl_expressions import value_of

from bakery.config.hcl.json_syntax import BlockSchema, parse_json_body
from bakery.config.hcl.lexer import END, tokenize, tokenize_template
from bakery.config.hcl.parser import parse_body, parse_expression, parse_template
from bakery.config.hcl.source import Source
from bakery.diagnostics import BakeryError, SourceFile


def _fuzzer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_hcl", Path(__file__).with_name("fuzz_hcl.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_make_nothing_but_diagnostics(seed: int) -> None:
    fuzzer = _fuzzer()
    for text, is_json in fuzzer.inputs(150, seed):
        try:
            fuzzer.exercise(text, is_json)
        except Exception as error:
            pytest.fail(f"{error!r} for {text!r}")


PIECES = st.sampled_from(_fuzzer().PIECES)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=40).map("".join)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_tokens_cover_a_text_in_order(text: str) -> None:
    for tokens in (tokenize(text), tokenize_template(text)):
        at = 0
        for kind, start, end in tokens:
            assert at <= start <= end
            assert text[at:start].strip(" \t\ufeff") == ""
            assert end > start or kind in (END, "close heredoc")
            at = end
        assert tokens[-1] == (END, len(text), len(text))


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_any_text_parses_to_a_tree_and_diagnostics_with_places(text: str) -> None:
    file = SourceFile("f", text)
    for problems in (
        parse_body(file)[1],
        parse_expression(Source(file))[1],
        parse_template(Source(file))[1],
        parse_json_body(file, BlockSchema())[1],
    ):
        for problem in problems:
            assert problem.summary
            assert problem.detail
            assert problem.span is not None
            assert 0 <= problem.span.start.offset <= problem.span.end.offset <= len(text)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_evaluation_raises_nothing_but_diagnostics(text: str) -> None:
    with contextlib.suppress(BakeryError):
        value_of(text, {"a": 1, "b": "x", "e": [1, 2], "f": {"k": None}})
