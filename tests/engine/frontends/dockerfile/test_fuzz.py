"""Whatever the text is: a result, or an error with a message. Never anything else."""

from __future__ import annotations

import random
from pathlib import Path

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.frontends.contract import FrontendRequest, LocalFolder
from engine.frontends.dockerfile.dockerignore import BadPattern, IgnoreMatcher
from engine.frontends.dockerfile.expand import Expander, ExpansionError
from engine.frontends.dockerfile.frontend import read
from engine.frontends.dockerfile.source import Source
from tests.support.dockerfile_cases import AMD64, VECTORS, lower

SEED, ROUNDS = 20261121, 500
WORDS = [
    *("FROM localhost:5000/busybox:1.35\n", "FROM scratch AS a\n", "RUN ", "COPY ", "ADD ", "ENV ", "ARG ", "ONBUILD "),
    *(
        "--from=a",
        "--mount=type=",
        "cache",
        "target=/x",
        ",",
        "--link",
        "--chmod=",
        "<<EOF",
        "\nEOF\n",
        "<<-'E'\n",
        "\nE\n",
    ),
    *(
        "$x",
        "${x",
        "}",
        ":-",
        "##*",
        "//a/b",
        "'",
        '"',
        "\\",
        "\\\n",
        "`",
        "# escape=`\n",
        "#\n",
        "\n",
        "\t",
        " ",
        "=",
        "[",
    ),
    *(
        "]",
        '["a","b"]',
        "HEALTHCHECK CMD ",
        "--interval=1",
        "EXPOSE ",
        "80-",
        "/tcp",
        "WORKDIR ",
        "\0",
        "\ufeff",
        "é",
        "\x85",
    ),
    *(
        "http://a/b.git#",
        "?ref=",
        "git@h:p",
        "https://[",
        "LABEL ",
        "VOLUME ",
        "SHELL ",
        "STOPSIGNAL ",
        "USER ",
        "--platform=",
    ),
]
FOLDER = LocalFolder("context", VECTORS / "basics" / "context")


def said(message: str) -> None:
    assert message


def survives(text: str) -> None:
    request = FrontendRequest({}, {"context": FOLDER, "dockerfile": FOLDER}, dockerfile=text, default_platform=AMD64)
    try:
        trio.run(lower, request)
    except EngineError as error:
        said(error.message)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map("".join))
def test_texts_of_words_that_mean_something(text: str) -> None:
    survives("FROM localhost:5000/busybox:1.35\n" + text)


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_parse_or_say_why(data: bytes) -> None:
    try:
        read(Source("Dockerfile", data))
    except EngineError as error:
        said(error.message)


@settings(max_examples=120, deadline=None)
@given(st.text(alphabet="$x{}:-+?#%/*\\'\" ab`", max_size=30), st.booleans(), st.booleans(), st.booleans())
def test_any_text_expands_or_says_why(text: str, quotes: bool, escapes: bool, unset: bool) -> None:
    rules = Expander(keep_quotes=quotes, keep_escapes=escapes, keep_unset=unset)
    for method in (rules.text, rules.words):
        try:
            method(text, {"x": "a/b*a"})
        except ExpansionError as error:
            said(str(error))


@settings(max_examples=120, deadline=None)
@given(st.text(alphabet="ab/*?[]^-!\\. \n#", max_size=20), st.text(alphabet="ab/.", min_size=1, max_size=8))
def test_any_rules_decide_or_are_refused(rules: str, path: str) -> None:
    try:
        matcher = IgnoreMatcher.parse(rules)
    except BadPattern:
        return
    assert matcher.excluded(path) == matcher.excluded(path)
    matcher.matches(path)


def test_damaged_files_of_the_vectors_lower_or_say_why() -> None:
    chance = random.Random(SEED)
    files = sorted(Path(VECTORS).glob("*/context/*Dockerfile"))
    texts = [file.read_text("utf-8", "replace") for file in files if file.stat().st_size < 4000]
    for _ in range(ROUNDS):
        survives(damaged(chance.choice(texts), chance))


def damaged(text: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) + 1)
        size = chance.choice((0, 1, 1, 5, 40))
        text = text[:at] + chance.choice([*WORDS, ""]) + text[at + size :]
    return text
