"""A statement's words: keyword, flags and arguments, as each kind of instruction divides them.

Only the form is looked at here: which keywords and flags there are, and what they mean, is the business of
`engine.frontends.dockerfile.instructions`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from engine.frontends.dockerfile.gotext import SPACE, quote
from engine.frontends.dockerfile.source import DockerfileError
from engine.values import frozen

BLANK = re.compile(r"[\t\v\f\r ]+")
_BYTE_SPACE = frozenset("\t\n\v\f\r \x85\xa0")
_SPACES = frozenset(SPACE)
SURROGATE = re.compile("[\ud800-\udfff]")
_HEREDOC_KEYWORDS = frozenset({"add", "copy", "run"})


@frozen
class Words:
    """What a statement is made of.

    `json` says that the arguments were a JSON array. `pairs` are the (name, value, has `=`) of ENV and LABEL. `child`
    is the instruction behind ONBUILD.
    """

    keyword: str
    flags: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    json: bool = False
    pairs: tuple[tuple[str, str, bool], ...] = ()
    child: Words | None = None

    @property
    def takes_heredocs(self) -> bool:
        """Whether `<<` in the statement opens a heredoc."""
        words = self
        if words.keyword.lower() == "onbuild" and words.child is not None:
            words = words.child
        return words.keyword.lower() in _HEREDOC_KEYWORDS and not words.json


def split(text: str, escape: str) -> Words:
    """The words of a statement.

    Raises:
        DockerfileError: for a form that no instruction has, without a place.
    """
    text = text.strip(SPACE)
    blank = BLANK.search(text)
    flags: tuple[str, ...] = ()
    if blank is None:
        keyword, rest = text, ""
    else:
        keyword, rest = text[: blank.start()], text[blank.end() :]
        if rest.startswith("--") or rest[:1] in _SPACES:
            found, rest = cut_flags(rest, escape)
            flags = tuple(found)
        rest = rest.strip(SPACE)
    form = _FORMS.get(keyword.lower())
    return form(keyword, flags, rest, escape) if form else Words(keyword, flags)


def cut_flags(text: str, escape: str) -> tuple[list[str], str]:
    """The words that begin with `--` at the start of a text, unquoted, and the rest. `--` alone ends them.

    The peer goes byte by byte here, so what is not ASCII in a flag comes out as Latin-1.
    """
    if not text.isascii():
        flags, rest = _cut_flags(text.encode("utf-8", "surrogateescape").decode("latin-1"), escape)
        return flags, rest.encode("latin-1").decode("utf-8", "surrogateescape")
    return _cut_flags(text, escape)


def _cut_flags(text: str, escape: str) -> tuple[list[str], str]:
    flags: list[str] = []
    at, size = 0, len(text)
    while True:
        while at < size and text[at] in _BYTE_SPACE:
            at += 1
        if at == size:
            return flags, ""
        if not text.startswith("--", at):
            return flags, text[at:]
        word, at, quoted = _flag(text, at, escape)
        if word == "--":
            return flags, text[at:]
        if word or quoted:
            flags.append(word)


def _flag(text: str, at: int, escape: str) -> tuple[str, int, bool]:
    out: list[str] = []
    quote_char, quoted = "", False
    while at < len(text):
        char = text[at]
        if char == escape:
            at += 1
            if at == len(text):
                break
            out.append(text[at])
        elif quote_char:
            if char == quote_char:
                quote_char = ""
            else:
                out.append(char)
        elif char in _BYTE_SPACE:
            break
        elif char in "'\"":
            quote_char, quoted = char, True
        else:
            out.append(char)
        at += 1
    return "".join(out), at, quoted


def quoted_words(text: str, escape: str) -> list[str]:
    """Words at blanks that are not quoted or escaped; quotes and escapes stay."""
    if escape not in text and "'" not in text and '"' not in text:
        return _plain_words(text)
    words: list[str] = []
    out: list[str] = []
    quote_char, quoted = "", False
    at, size = 0, len(text)
    while at < size:
        char = text[at]
        if not quote_char and char in _SPACES:
            if out or quoted:
                words.append("".join(out))
            out, quoted = [], False
            at += 1
            continue
        if char == escape and quote_char != "'":
            if at + 1 == size:
                break  # an escape at the very end is nothing
            out += (char, text[at + 1])
            at += 2
            continue
        if quote_char:
            if char == quote_char:
                quote_char = ""
        elif char in "'\"":
            quote_char, quoted = char, True
        out.append(char)
        at += 1
    if out or quoted:
        words.append("".join(out))
    return words


def _plain_words(text: str) -> list[str]:
    words = text.split()
    if text.isascii() and not any(char in text for char in "\x1c\x1d\x1e\x1f"):
        return words
    return [word for word in re.split(f"[{SPACE}]+", text) if word]


# ---------------------------------------------------------------- the forms


def _json_array(text: str) -> tuple[str, ...] | None:
    """The strings of a JSON array; None for what is no JSON array.

    Raises:
        DockerfileError: for an array that holds something else.
    """
    text = text.lstrip(SPACE)
    if not text.startswith("["):
        return None
    try:
        items = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in items):
        raise DockerfileError("when using JSON array syntax, arrays must be comprised of strings only")
    return tuple(SURROGATE.sub("\ufffd", item) for item in items)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _whole(keyword: str, flags: tuple[str, ...], rest: str, escape: str) -> Words:
    return Words(keyword, flags, (rest,) if rest else ())


def _blanks(keyword: str, flags: tuple[str, ...], rest: str, escape: str) -> Words:
    return Words(keyword, flags, tuple(BLANK.split(rest)) if rest else ())


def _json_or_whole(keyword: str, flags: tuple[str, ...], rest: str, escape: str) -> Words:
    items = _json_array(rest)
    if items is None:
        return _whole(keyword, flags, rest, escape)
    return Words(keyword, flags, items, json=True)


def _json_or_blanks(keyword: str, flags: tuple[str, ...], rest: str, escape: str) -> Words:
    items = _json_array(rest)
    if items is None:
        return _blanks(keyword, flags, rest, escape)
    return Words(keyword, flags, items, json=True)


def _names(keyword: str, flags: tuple[str, ...], rest: str, escape: str) -> Words:
    return Words(keyword, flags, tuple(quoted_words(rest, escape)))


def _pairs(keyword: str, flags: tuple[str, ...], rest: str, escape: str) -> Words:
    """`name=value …`, or the old form `name value` where the value is all the rest."""
    words = quoted_words(rest, escape)
    if not words:
        return Words(keyword, flags)
    if "=" not in words[0]:
        parts = BLANK.split(rest, maxsplit=1)
        if len(parts) < 2:
            raise DockerfileError(f"{keyword.upper()} must have two arguments")
        return Words(keyword, flags, pairs=((parts[0], parts[1], False),))
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise DockerfileError(f"Syntax error - can't find = in {quote(word)}. Must be of the form: name=value")
        pairs.append((name, value, True))
    return Words(keyword, flags, pairs=tuple(pairs))


def _health(keyword: str, flags: tuple[str, ...], rest: str, escape: str) -> Words:
    if not rest:
        return Words(keyword, flags)
    end = next((at for at, char in enumerate(rest) if char in _BYTE_SPACE), len(rest))
    command = _json_or_whole("", (), rest[end:].lstrip(SPACE), escape)
    return Words(keyword, flags, (rest[:end], *command.args), json=command.json)


def _nested(keyword: str, flags: tuple[str, ...], rest: str, escape: str) -> Words:
    if not rest:
        return Words(keyword, flags)
    inner = BLANK.split(rest, maxsplit=1)[0]
    # ONBUILD ONBUILD is refused later: its depth must not become ours.
    return Words(keyword, flags, child=Words(inner) if inner.lower() == "onbuild" else split(rest, escape))


_Form = Callable[[str, tuple[str, ...], str, str], Words]

_FORMS: dict[str, _Form] = {
    "add": _json_or_blanks,
    "arg": _names,
    "cmd": _json_or_whole,
    "copy": _json_or_blanks,
    "entrypoint": _json_or_whole,
    "env": _pairs,
    "expose": _blanks,
    "from": _blanks,
    "healthcheck": _health,
    "label": _pairs,
    "maintainer": _whole,
    "onbuild": _nested,
    "run": _json_or_whole,
    "shell": _json_or_whole,
    "stopsignal": _whole,
    "user": _whole,
    "volume": _json_or_blanks,
    "workdir": _whole,
}
KEYWORDS = tuple(sorted(_FORMS))
"""All instructions, in lower case."""
