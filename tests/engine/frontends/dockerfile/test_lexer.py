"""Statements know where each character of them stands, and what belongs to them."""

from __future__ import annotations

import pytest

from engine.frontends.dockerfile.lexer import MAX_LINE, Statement, lex
from engine.frontends.dockerfile.source import DockerfileError


def only(text: str) -> Statement:
    (statement,) = lex(text.encode()).statements
    return statement


def test_continued_lines_are_one_statement_whose_parts_can_be_pointed_at() -> None:
    statement = only("\n  RUN one \\\n   two \\\n# why\n\n three\n")
    assert statement.text == "RUN one    two  three"
    assert (statement.first, statement.last) == (2, 6)
    assert statement.position(statement.text.index("one")) == (2, 6)
    assert statement.position(statement.text.index("two")) == (3, 3)
    assert statement.position(statement.text.index("three")) == (6, 1)


def test_blank_lines_inside_a_statement_are_remembered() -> None:
    assert lex(b"RUN a \\\n\n  b\n").empty_continuations == ((3, "RUN a   b"),)


def test_comments_above_belong_to_the_instruction_until_an_empty_one() -> None:
    lexed = lex(b"# check=skip=all\n# far\n#\n# near\n\n# nearer\nFROM x\nRUN y\n")
    assert [statement.comments for statement in lexed.statements] == [("near", "nearer"), ()]


def test_heredocs_are_read_in_order_and_lose_tabs_only_when_asked() -> None:
    statement = only('COPY <<"A" <<-B /x/\n\t$one\nA\n\t$two\n\tB\n')
    first, second = statement.heredocs
    assert (first.name, first.expand, first.text) == ("A", False, "\t$one\n")
    assert (second.name, second.expand, second.text) == ("B", True, "$two\n")
    assert statement.last == 5


def test_a_json_command_opens_no_heredoc() -> None:
    assert only('RUN ["cat", "<<EOF"]\n').heredocs == ()


def test_the_escape_directive_counts_only_at_the_very_beginning() -> None:
    assert lex(b"# escape=`\nRUN a `\n b\n").escape == "`"
    assert lex(b"\n# escape=`\nRUN a `\nRUN b\n").escape == "\\"


@pytest.mark.parametrize("size", [MAX_LINE - 1, MAX_LINE])
def test_a_line_can_have_one_byte_less_than_the_limit(size: int) -> None:
    text = b"RUN a\n" + b"RUN " + b"x" * (size - 4) + b"\n"
    if size < MAX_LINE:
        assert len(lex(text).statements) == 2
        return
    with pytest.raises(DockerfileError, match="max allowed size of 65535") as caught:
        lex(text)
    assert caught.value.lines == ((1, 0),)


def test_what_is_no_utf8_is_refused_where_it_stands() -> None:
    with pytest.raises(DockerfileError) as caught:
        lex(b"FROM x\nRUN \xff\n")
    assert caught.value.lines == ((2, 2),)
