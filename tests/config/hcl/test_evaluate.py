"""What expressions come to, and what is said when they come to nothing."""

import pytest
from support.hcl_expressions import problems_of, value_of

from bakery.config import number
from bakery.config.conversion import convert
from bakery.config.hcl.evaluate import evaluate
from bakery.config.hcl.parser import parse_expression
from bakery.config.hcl.scope import ChildScope, RootScope
from bakery.config.hcl.source import Source
from bakery.config.types import STRING, ListType
from bakery.config.values import MAX_WEIGHT, Value, from_python, list_of, string, to_python
from bakery.config.work import MAX_WORK
from bakery.diagnostics import BakeryError, SourceFile

NAMES = {
    "s": "text",
    "n": 3,
    "yes": True,
    "nothing": None,
    "list": ["a", "b", "c"],
    "map": {"k": 1, "j": "two"},
    "people": [{"name": "Ann", "tags": ["x"]}, {"name": "Bob", "tags": []}],
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # arithmetic
        ("1 + 2 * 3 - 4 / 2", 5),
        ("(1 + 2) * 3", 9),
        ("0.1 + 0.2 == 0.3", True),
        ("7 % 3 + -7 % 3", 0),
        ('"4" + 1', 5),
        ("-n", -3),
        # comparison and logic
        ("1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3", True),
        ('1 == "1"', False),
        ("[1, 2] == [1, 2]", True),
        ("nothing == null", True),
        ("!yes || yes", True),
        ("false && nope", False),
        ("true || nope", True),
        # choices
        ('yes ? 1 : "b"', "1"),
        ("yes ? [] : list", []),
        ("nothing == null ? s : nope", "text"),
        ("yes ? null : 1", None),
        ("yes ? {a = 1} : {b = 2}", {"a": 1}),
        # templates
        ('"a${1 + 1}b${yes}"', "a2btrue"),
        ('"${list}"', ["a", "b", "c"]),
        ('"%{ for x in list }${x};%{ endfor }"', "a;b;c;"),
        ('"%{ for i, x in list ~} ${i}=${x} %{~ endfor }"', "0=a1=b2=c"),
        ('"%{ if n > 2 }big%{ else }small%{ endif }"', "big"),
        ('"$${x} %%{y} $x 100%"', "${x} %{y} $x 100%"),
        ("<<E\n  a\n    b\nE\n", "  a\n    b\n"),
        ("<<-E\n  a\n    b ${n}\n  E\n", "a\n  b 3\n"),
        # loops
        ("[for x in list : upper(x)]", ["A", "B", "C"]),
        ('[for i, x in list : "${i}${x}" if x != "b"]', ["0a", "2c"]),
        ("{for k, v in map : v => k}", {"1": "k", "two": "j"}),
        ("{for p in people : length(p.tags) => p.name...}", {"0": ["Bob"], "1": ["Ann"]}),
        ("[for k, v in {b = 1, a = 2} : k]", ["a", "b"]),
        # splats, indices, attributes
        ("people[*].name", ["Ann", "Bob"]),
        ("people.*.name", ["Ann", "Bob"]),
        ("people[*].tags[0]", None),
        ("s[*]", ["text"]),
        ("nothing[*]", []),
        ("list[1]", "b"),
        ('map["k"]', 1),
        ("map.j", "two"),
        ("list[n - 1]", "c"),
        ("people.0.name", "Ann"),
        # objects
        ('{ a = 1, "b" = 2, (s) = 3, "c-${n}" = 4, null = 5 }', {"a": 1, "b": 2, "c-3": 4, "null": 5, "text": 3}),
        # spread
        ("max(1, [2, 3]...)", 3),
        ('join("-", [list, ["d"]]...)', "a-b-c-d"),
    ],
)
def test_expression_comes_to(text: str, wanted: object) -> None:
    if text == "people[*].tags[0]":
        assert "the collection has no elements" in problems_of(text, NAMES)[0]
        return
    assert to_python(value_of(text, NAMES)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("nope", 'x:1,1-5: Unknown variable; There is no variable named "nope".'),
        ("lst", 'x:1,1-4: Unknown variable; There is no variable named "lst". Did you mean "list"?'),
        ("uper(s)", 'x:1,1-5: Call to unknown function; There is no function named "uper". Did you mean "upper"?'),
        ("a::b()", 'x:1,1-5: Call to unknown function; There are no functions in namespace "a::".'),
        ("1 / 0", "x:1,1-6: Operation failed; Error during operation: division by zero."),
        ("n % 0", "x:1,1-6: Operation failed; Error during operation: division by zero."),
        ("1 + nothing", "x:1,1-12: Operation failed; Error during operation: argument must not be null."),
        ('1 + "a"', "x:1,5-8: Invalid operand; Unsuitable value for right operand: a number is required."),
        ("-list", "x:1,2-6: Invalid operand; Unsuitable value for unary operand: number required, but have tuple."),
        ('!"True"', 'x:1,2-8: Invalid operand; Unsuitable value for unary operand: a bool is required; to convert from '
         'string, use lowercase "true".'),
        ("list ? 1 : 2", "x:1,1-5: Incorrect condition type; The condition expression must be of type bool."),
        ("null ? 1 : 2", "x:1,1-5: Null condition; The condition value is null. Conditions must either be true or "
         "false."),
        ("yes ? 1 : [1]", "x:1,7-14: Inconsistent conditional result types; The true and false result expressions must "
         "have consistent types. The 'true' value is number, but the 'false' value is tuple."),
        ("yes ? {a = 1} : {a = [1]}", "x:1,7-26: Inconsistent conditional result types; The true and false result "
         "expressions must have consistent types. Type mismatch for object attribute \"a\": The 'true' value is "
         "number, but the 'false' value is tuple."),
        ('"a${nothing}"', "x:1,5-12: Invalid template interpolation value; The expression result is null. Cannot "
         "include a null value in a string template."),
        ('"a${list}"', "x:1,5-9: Invalid template interpolation value; Cannot include the given value in a string "
         "template: string required, but have tuple."),
        ("[for x in s : x]", "x:1,11-12: Iteration over non-iterable value; A value of type string cannot be used as "
         "the collection in a 'for' expression."),
        ("[for x in nothing : x]", "x:1,11-18: Iteration over null value; A null value cannot be used as the "
         "collection in a 'for' expression."),
        ("[for x in list : x if x]", "x:1,23-24: Invalid 'for' condition; The 'if' clause value is invalid: a bool is "
         "required."),
        ('{for x in [1, 2] : "k" => x}', "x:1,20-23: Duplicate object key; Two different items produced the key \"k\" "
         "in this 'for' expression. If duplicates are expected, use the ellipsis (...) after the value expression to "
         "enable grouping by key."),
        ("map.zz", 'x:1,4-7: Unsupported attribute; This object does not have an attribute named "zz".'),
        ("s.x", "x:1,2-4: Unsupported attribute; Can't access attributes on a primitive-typed value (string)."),
        ("nothing.x", "x:1,8-10: Attempt to get attribute from null value; This value is null, so it does not have any "
         "attributes."),
        ("list[3]", "x:1,5-8: Invalid index; The given key does not identify an element in this collection value: the "
         "given index is greater than or equal to the length of the collection."),
        ("list[0.5]", "x:1,5-10: Invalid index; The given key does not identify an element in this collection value: "
         "indexing a sequence requires a whole number, but the given index has a fractional part."),
        ("list[-n]", "x:1,5-9: Invalid index; The given key does not identify an element in this collection value: a "
         "negative number is not a valid index for a sequence."),
        ("{ a.b = 1 }", "x:1,3-6: Ambiguous attribute key; If this expression is intended to be a reference, wrap it "
         "in parentheses. If it's instead intended as a literal name containing periods, wrap it in quotes to create a "
         "string literal."),
        ("{ (nothing) = 1 }", "x:1,15-16: Null value as key; Can't use a null value as a key."),
        ("{ (list) = 1 }", "x:1,3-9: Incorrect key type; Can't use this value as a key: string required, but have "
         "tuple."),
        ("upper()", 'x:1,7-8: Not enough function arguments; Function "upper" expects 1 argument(s). Missing value for '
         '"str".'),
        ("join()", 'x:1,6-7: Not enough function arguments; Function "join" expects at least 1 argument(s). Missing '
         'value for "separator".'),
        ("upper(s, n)", 'x:1,10-11: Too many function arguments; Function "upper" expects only 1 argument(s).'),
        ("upper(list)", 'x:1,7-11: Invalid function argument; Invalid value for "str" parameter: string required, but '
         "have tuple."),
        ("upper(null)", 'x:1,7-11: Invalid function argument; Invalid value for "str" parameter: argument must not be '
         "null."),
        ('join(",", "a")', 'x:1,12-13: Invalid function argument; Invalid value for "lists" parameter: list of string '
         "required, but have string."),
        ("max(s...)", "x:1,5-6: Invalid expanding argument value; The expanding argument (indicated by ...) must be of "
         "a tuple, list, or set type."),
        ("regex(\"b\", \"a\")", 'x:1,1-7: Error in function call; Call to function "regex" failed: pattern did not '
         "match any part of the given string."),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_at_its_place(text: str, wanted: str) -> None:
    assert problems_of(text, NAMES) == [wanted]


def test_all_mistakes_of_an_expression_are_reported() -> None:
    problems = problems_of('[nope, upper(nil), "${zip}", 1 / 0]')
    assert [problem.split(";")[0] for problem in problems] == [
        "x:1,2-6: Unknown variable",
        "x:1,14-17: Unknown variable",
        "x:1,23-26: Unknown variable",
        "x:1,30-35: Operation failed",
    ]


def test_the_arm_not_chosen_may_be_wrong() -> None:
    assert to_python(value_of("true ? 1 : nope")) == 1
    assert problems_of("false ? 1 : nope") == ['x:1,13-17: Unknown variable; There is no variable named "nope".']


def test_a_loop_hides_names_and_gives_them_back() -> None:
    assert to_python(value_of("[[for s in list : s], s]", NAMES)) == [["a", "b", "c"], "text"]


def test_a_splat_within_a_splat_keeps_its_own_element() -> None:
    names = {"a": [{"b": [{"c": 1}, {"c": 2}]}, {"b": [{"c": 3}]}]}
    assert to_python(value_of("a[*].b[*].c", names)) == [[1, 2], [3]]


def test_a_splat_of_a_list_is_a_list() -> None:
    scope = RootScope({"l": list_of(STRING, [string("a")])})
    expr, _ = parse_expression(Source(SourceFile("x", "l[*]")))
    assert evaluate(expr, scope).type == ListType(STRING)


def test_a_child_scope_is_asked_before_its_parent() -> None:
    parent = RootScope({"a": string("outer"), "b": string("kept")})
    expr, _ = parse_expression(Source(SourceFile("x", '"${a} ${b}"')))
    assert evaluate(expr, ChildScope(parent, {"a": string("inner")})).raw == "inner kept"


def test_only_what_is_referred_to_is_looked_up() -> None:
    asked: list[str] = []

    class Recording(RootScope):
        def variable(self, reference: object) -> Value:
            asked.append(reference.name)  # type: ignore[attr-defined]
            return from_python([1])

    expr, _ = parse_expression(Source(SourceFile("x", "[for y in a : y + b[0]]")))
    evaluate(expr, Recording())
    assert asked == ["a", "b"]


def test_numbers_print_in_full_and_round_trip() -> None:
    def text(expression: str) -> str:
        return convert(value_of(expression), STRING).raw

    assert text("0.1 + 0.2") == "0.3"
    assert text("1 / 3 * 3") == "1"
    assert text("10 / 4") == "2.5"
    assert text("123456789012345678901234567890 + 1") == "123456789012345678901234567891"
    assert text("1e200") == "1" + "0" * 200
    assert text("1 / 3").startswith("0." + "3" * 150)
    assert number.parse(text("1 / 7")) == value_of("1 / 7").raw


@pytest.mark.parametrize(
    "text",
    [
        "[for a in l : [for b in l : [for c in l : [for d in l : [for e in l : [for f in l : 1]]]]]]",
        "setproduct(l, l, l, l, l, l, l, l)",
        'join("", [for x in l : format("%09999d", x)], [for x in l : "${join("", [for y in l : big])}"])',
        'replace(big, "", big)',
    ],
)
def test_what_would_fill_the_memory_is_refused_with_the_limit_named(text: str) -> None:
    names = {"l": list(range(20)), "big": "x" * 1_000_000}
    if "join" in text:
        names["l"] = list(range(400))
    (problem, *_) = problems_of(text, names)
    assert str(MAX_WEIGHT) in problem or str(MAX_WORK) in problem


def test_a_range_has_a_limit() -> None:
    assert problems_of("range(1e9)") == [
        'x:1,1-7: Error in function call; Call to function "range" failed: more than 1024 values were generated; '
        "either decrease the difference between start and end or use a smaller step."
    ]


def test_a_mistake_in_a_long_loop_is_not_told_without_end() -> None:
    assert 100 < len(problems_of("[for x in range(1000) : nope]")) < 300


def test_doubling_a_value_again_and_again_is_refused() -> None:
    names: dict[str, Value] = {"v0": from_python(["x"])}
    problems: list[str] = []
    step = 0
    while not problems and step < 40:
        problems = problems_of(f"[v{step}, v{step}]", names)
        if not problems:
            names[f"v{step + 1}"] = value_of(f"[v{step}, v{step}]", names)
        step += 1
    assert "Value too large" in problems[0]


def test_a_value_nested_too_deep_is_an_error_not_a_crash() -> None:
    value = from_python([])
    for _ in range(2000):
        value = from_python([value])
    expr, _ = parse_expression(Source(SourceFile("x", "v == v")))
    with pytest.raises(BakeryError, match="Nesting too deep"):
        evaluate(expr, RootScope({"v": value}))


def test_a_long_chain_of_operators_is_evaluated() -> None:
    assert to_python(value_of("0" + " + 1" * 5000)) == 5000
