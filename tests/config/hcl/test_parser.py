"""What the parser does with texts that the reference vectors do not cover: limits, spans, odd characters."""

import pytest

from bakery.config.hcl.parser import MAX_FILE_SIZE, parse_body, parse_expression, parse_template
from bakery.config.hcl.source import Source
from bakery.config.hcl.stream import MAX_ERRORS, MAX_NESTING
from bakery.config.hcl.syntax import Call, functions, variables
from bakery.diagnostics import SourceFile


def _problems(text: str) -> list[str]:
    return [str(problem) for problem in parse_body(SourceFile("f", text))[1]]


def test_a_span_gives_back_what_the_user_wrote() -> None:
    body, _ = parse_body(SourceFile("f", 'target "a" {\n  tags = [for x in l : "é${x}"]\n}\n'))
    (block,) = body.blocks
    tags = block.body.attributes["tags"]
    assert tags.expr.span.text() == '[for x in l : "é${x}"]'
    assert tags.name_span.text() == "tags"
    assert block.header_span.text() == 'target "a"'
    assert block.open_brace_span.text() == "{"
    assert block.close_brace_span.text() == "}"
    assert [span.text() for span in block.label_spans] == ['"a"']


def test_columns_count_what_a_reader_sees() -> None:
    body, _ = parse_body(SourceFile("f", 'a = ["e\u0301👩‍👩‍👧", nope]\n'))
    assert str(body.attributes["a"].expr.span) == "f:1,5-17"


def test_variables_and_functions_of_an_expression_leave_out_its_own_names() -> None:
    expr, _ = parse_expression(
        Source(SourceFile("f", 'upper("${a}") + { (b) = [for c in d : c.e + lower(f)], g = 1 }[h][*].i'))
    )
    assert [reference.name for reference in variables(expr)] == ["a", "b", "d", "f", "h"]
    assert functions(expr) == {"upper", "lower"}


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "(" * 5000,
        "a = " + "[" * 5000,
        "a = " + "{x=" * 5000,
        "a = " + '"${' * 5000,
        "a = " + "f(" * 5000,
        "a = " + "!" * 5000 + "x",
        "a = " + "x ? y : " * 5000 + "z",
        "a = " + "x[y]" + "[y]" * 5000,
        "a = " + "x" + "[*]" * 5000,
        "b {\n" * 5000,
        'a = "' + "%{if x}" * 5000 + '"',
        "a = " + "[for x in " * 5000,
    ],
    ids=lambda text: text[:12],
)
def test_deep_nesting_is_refused_with_the_limit_named(text: str) -> None:
    problems = _problems(text)
    assert any("Nesting too deep" in problem and str(MAX_NESTING) in problem for problem in problems)


def test_nesting_up_to_the_limit_is_fine() -> None:
    depth = MAX_NESTING
    assert _problems("a = " + "(" * depth + "1" + ")" * depth + "\n") == []
    assert _problems("a = " + "[" * depth + "]" * depth + "\n") == []


def test_long_chains_do_not_nest() -> None:
    assert _problems("a = " + "1 + " * 20_000 + "1\n") == []
    assert _problems("a = b" + ".c" * 20_000 + "\n") == []
    assert _problems("a = b" + "[0]" * 20_000 + "\n") == []


def test_a_file_that_is_too_large_is_not_read() -> None:
    assert str(MAX_FILE_SIZE) in _problems("#" * (MAX_FILE_SIZE + 1))[0]


def test_after_many_errors_reading_stops() -> None:
    problems = _problems("x\n" * 5000)
    assert len(problems) == MAX_ERRORS + 1
    assert "Too many errors" in problems[-1]


def test_bytes_that_are_not_utf8_are_named_once() -> None:
    text = b'a = "x"\xff\xfe\n'.decode(errors="surrogateescape")
    assert [problem for problem in _problems(text) if "Invalid character encoding" in problem] == [
        "f:1,8-9: Invalid character encoding; All input files must be UTF-8 encoded. Ensure that UTF-8 encoding is "
        "selected in your editor."
    ]


def test_a_lone_expression_may_not_go_on() -> None:
    _, problems = parse_expression(Source(SourceFile("f", "a b")))
    assert [problem.summary for problem in problems] == ["Extra characters after expression"]


def test_a_bare_template_may_end_in_a_dollar_sign() -> None:
    template, problems = parse_template(Source(SourceFile("f", "cost: 5$")))
    assert problems == []
    assert template.span.text() == "cost: 5$"


def test_quotes_within_an_interpolation_are_no_end() -> None:
    body, problems = parse_body(SourceFile("f", 'a = "${f("x", "${g("y")}")}"\n'))
    assert problems == []
    assert functions(body.attributes["a"].expr) == {"f", "g"}


def test_namespaced_function_names_are_one_name() -> None:
    expr, _ = parse_expression(Source(SourceFile("f", "a::b::c(1)")))
    assert isinstance(expr, Call)
    assert expr.name == "a::b::c"
    assert expr.name_span.text() == "a::b::c"


def test_mistakes_beyond_the_vectors_have_a_place_and_a_reason() -> None:
    assert _problems('"a" = 1\n') == ["f:1,1-2: Invalid argument name; Argument names must not be quoted."]
    assert _problems("a {\n") == [
        "f:1,3-4: Unclosed configuration block; There is no closing brace for this block before the end of the file. "
        "This may be caused by incorrect brace nesting elsewhere in this file."
    ]
    assert _problems("a = {b}\n")[0].startswith("f:1,7-8: Missing key/value separator")
    assert _problems("a = f(1\n")[0].startswith("f:1,5-7: Unterminated function call")
    assert _problems("a = [for x y : z]\n")[0].startswith("f:1,12-13: Invalid 'for' expression")
    assert _problems('a = "%{ if x }"\n')[0].startswith("f:1,15-16: Unexpected end of template")
    assert _problems("a = b[1\n")[0].startswith("f:2,1-1: Missing close bracket on index")
    assert _problems('t "a" = 1\n')[0].startswith("f:1,7-8: Invalid block definition")
    assert _problems("t {a = 1, b = 2}\n")[0].startswith("f:1,9-10: Invalid single-argument block definition")
    assert _problems("a = 1e99999999\n")[0].startswith("f:1,5-15: Invalid number literal")
