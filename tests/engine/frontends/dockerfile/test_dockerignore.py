"""Which files rules leave out, and which rule did it."""

from __future__ import annotations

import pytest

from engine.frontends.dockerfile.dockerignore import BadPattern, IgnoreMatcher, patterns


@pytest.mark.parametrize(
    ("rules", "out", "kept"),
    [
        ("*.log", ["a.log"], ["sub/a.log", "a.txt"]),
        ("**/*.log", ["a.log", "x/y/a.log"], ["a.txt"]),
        ("build", ["build", "build/x/y"], ["sub/build", "builder"]),
        ("/build/", ["build/x"], ["sub/build"]),
        ("a/**", ["a/b", "a/b/c"], ["b"]),
        ("**/node_modules", ["node_modules", "x/node_modules/y"], ["node"]),
        ("*\n!keep.txt", ["a", "b/c"], ["keep.txt"]),
        ("docs\n!docs/*.md", ["docs/a.txt"], ["docs/a.md"]),
        ("?.txt", ["a.txt"], ["ab.txt"]),
        ("[a-c].txt", ["b.txt"], ["d.txt"]),
        ("a.b", ["a.b"], ["axb"]),
        (r"a\*b", ["a*b"], ["axb"]),
        ("!a\na", ["a"], ["b"]),
    ],
)
def test_rules(rules: str, out: list[str], kept: list[str]) -> None:
    matcher = IgnoreMatcher.parse(rules)
    assert [path for path in out + kept if matcher.excluded(path)] == out


def test_the_last_rule_that_decides_is_named_with_its_line() -> None:
    matcher = IgnoreMatcher.parse("# all\n*\n\n!src\nsrc/*.tmp\n")
    rule = matcher.rule_for("src/a.tmp")
    assert rule is not None
    assert (rule.written, rule.line) == ("src/*.tmp", 5)
    kept = matcher.rule_for("src/a.c")
    assert kept is not None
    assert (kept.written, kept.includes) == ("!src", True)
    assert IgnoreMatcher.parse("a").rule_for("b") is None


def test_texts_are_cleaned_as_definitions_hold_them() -> None:
    text = "\ufeff# no\n #yes\n  a/../b/ \r\n/c\n! /d\n/\n"
    assert patterns(text) == ["#yes", "b", "c", "!d", "/"]


def test_for_a_tree_a_folder_that_was_not_asked_does_not_speak_for_what_is_in_it() -> None:
    matcher = IgnoreMatcher.parse("a/b\n!a")
    assert matcher.excluded("a/b")
    assert not matcher.matches("a/b")


@pytest.mark.parametrize("rule", ["!", "[", "[a", "[]a]", "[-a]", "a\\", "[z-a]b"])
def test_malformed_rules_are_refused(rule: str) -> None:
    with pytest.raises(BadPattern):
        IgnoreMatcher.parse(rule)
