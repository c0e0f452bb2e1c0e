"""Patterns: what Go's path.Match and the .dockerignore rules say of a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.patterns import TOP, Match, PatternError, PatternMatcher, glob, has_wildcard, literal


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.go", "a.go", True),
        ("*.go", "a/b.go", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("[!a]", "!", True),
        (r"\*", "*", True),
        (r"\*", "a", False),
        ("a{1}|^$.b", "a{1}|^$.b", True),
        ("**", "ab", True),
        ("**", "a/b", False),
        (r"[\]a]", "]", True),
        ("a\n*", "a\nb", True),
        ("a", "a\n", False),
    ],
)
def test_glob(pattern: str, path: str, expected: bool) -> None:
    assert (glob(pattern).fullmatch(path) is not None) == expected


@pytest.mark.parametrize("pattern", ["[", "[]", "[]a]", "[a-]", "[-a]", "a\\", "[a", "[a\\"])
def test_malformed_patterns_are_named(pattern: str) -> None:
    with pytest.raises(PatternError, match="the pattern"):
        glob(pattern)
    with pytest.raises(PatternError, match="the pattern"):
        PatternMatcher([pattern])


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["foo"], "foo", True),
        (["foo"], "foo/bar/baz", True),
        (["foo"], "a/foo", False),
        (["foo/"], "foo/bar", True),
        (["./foo"], "foo", True),
        (["foo/**"], "foo", False),
        (["foo/**"], "foo/a/b", True),
        (["foo**"], "foobar", True),
        (["**/foo"], "foo", True),
        (["**/foo"], "a/b/foo", True),
        (["**/foo"], "a/bfoo", False),
        (["**foo"], "a/bfoo", True),
        (["**foo*"], "bfoo1", False),
        (["a/**/b"], "a/b", True),
        (["a/**/b"], "a/x/y/b/c", True),
        (["**"], "anything/at/all", True),
        (["**/*.md"], "a/b.md", True),
        (["*.md", "!README.md"], "README.md", False),
        (["*.md", "!README.md", "README.md"], "README.md", True),
        (["*", "!a/b"], "a", True),
        (["*", "!a/b"], "a/b/c", False),
        (["*", "!a/b"], "a/c", True),
        (["a", "!a/*.x"], "a/b.x", False),
        (["!a", "a"], "a", True),
        (["d/e", "!d"], "d/e", True),
        (["  spaced  ", ""], "spaced", True),
        (["a|b*"], "a", False),
        ([], "a", False),
        (["."], "a", False),
    ],
)
def test_lists(patterns: list[str], path: str, expected: bool) -> None:
    matcher = PatternMatcher(patterns)
    assert matcher.excluded(path) == expected
    assert (matcher.rule_for(path) is not None) == expected


def test_the_rule_is_told_as_it_was_written() -> None:
    matcher = PatternMatcher(["*.md", "!README.md", "./docs/", "README.md "])
    assert matcher.rule_for("a.md") == "*.md"
    assert matcher.rule_for("README.md") == "README.md "
    assert matcher.rule_for("docs/a/b") == "./docs/"
    assert matcher.rule_for("src") is None


def test_an_exclamation_mark_alone_is_refused() -> None:
    with pytest.raises(PatternError, match="illegal exclusion pattern"):
        PatternMatcher(["a", "!"])


def test_what_can_be_below_a_folder_is_known_where_no_wildcard_leads_there() -> None:
    matcher = PatternMatcher(["a/b/*", "!c/d"])
    assert matcher.may_match_below("a")
    assert not matcher.may_match_below("c")
    assert matcher.may_except_below("c")
    assert not matcher.may_except_below("a")
    assert PatternMatcher(["**/x"]).may_match_below("anywhere")


def test_a_literal_pattern_matches_itself_only() -> None:
    for text in ("*", "a[1]", "!x", "b\\c", "q?"):
        assert PatternMatcher([literal(text)]).excluded(text)
    assert not PatternMatcher([literal("*")]).excluded("x")


@pytest.mark.parametrize(("text", "expected"), [("a*", True), (r"a\*", False), (r"a\\*", True), ("a]", False)])
def test_escaped_wildcards_are_none(text: str, expected: bool) -> None:
    assert has_wildcard(text) == expected


names = st.text(alphabet="ab.", min_size=1, max_size=2).filter(lambda n: n not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
rules = st.builds("".join, st.tuples(st.sampled_from(["", "!"]), st.sampled_from(["", "*/", "**/"]), paths))


@given(st.lists(rules, max_size=5), paths)
def test_asking_together_is_asking_one_by_one(patterns: list[str], path: str) -> None:
    matcher = PatternMatcher(patterns)
    decided: Match = TOP
    parts = path.split("/")
    for end in range(1, len(parts) + 1):
        decided = matcher.match("/".join(parts[:end]), decided)
    assert matcher.excluded(path) == decided.matched == (matcher.rule_for(path) is not None)
