"""What variables and quotes become."""

from __future__ import annotations

import pytest

from engine.frontends.dockerfile.expand import Expander, ExpansionError

VALUES = {"file": "/srv/data/a.2024.tar.gz", "word": "banana", "empty": ""}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$word${word}$nope.", "bananabanana."),
        ("${empty:-d}|${empty-d}|${nope:-${word}}", "d||banana"),
        ("${word:+alt}|${empty:+alt}|${empty+alt}", "alt||alt"),
        ("${file#*/}|${file##*/}", "srv/data/a.2024.tar.gz|a.2024.tar.gz"),
        ("${file%.*}|${file%%.*}", "/srv/data/a.2024.tar|/srv/data/a"),
        ("${word/a/o}|${word//a/o}|${word//*/x}", "bonana|bonono|x"),
        (r"${file//\//_}", "_srv_data_a.2024.tar.gz"),
        (r"'$word' \$word \"", '$word $word "'),
        (r'"\$word \n $word"', r"$word \n banana"),
        ("a$ b$$", "a$ b"),
    ],
)
def test_texts(text: str, wanted: str) -> None:
    assert Expander().text(text, VALUES) == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${word", "unsupported modifier (\ufffd) in substitution"),
        ("${word:=x}", "unsupported modifier (:=) in substitution"),
        ("${nope:?say why}", "nope: say why"),
        ("${empty:?}", "empty: is not allowed to be empty"),
        ("'open", "unexpected end of statement while looking for matching single-quote"),
    ],
)
def test_errors_quote_the_text_and_say_why(text: str, reason: str) -> None:
    with pytest.raises(ExpansionError) as caught:
        Expander().text(text, VALUES)
    assert str(caught.value) == f'failed to process "{text}": {reason}'


def test_names_that_were_looked_for_are_told() -> None:
    done = Expander().full("$word ${nope:-$other}", VALUES)
    assert (done.found, done.missing) == ({"word"}, {"nope", "other"})


def test_for_the_name_of_a_step_quotes_and_unset_variables_stay() -> None:
    namer = Expander(keep_quotes=True, keep_unset=True)
    assert namer.text("echo \"$word\" '$word' $nope ${nope:-x}", VALUES) == "echo \"banana\" '$word' $nope ${nope:-x}"


def test_words_are_split_after_replacing_but_not_inside_quotes() -> None:
    assert Expander().words("a $two 'b c'", {"two": "x y"}) == ["a", "x", "y", "b c"]
