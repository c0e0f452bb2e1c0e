"""JSON texts to values that know their place, duplicates and order of properties included."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bakery.config import number
from bakery.config.hcl.source import BOM, Source
from bakery.config.hcl.stream import MAX_NESTING, NestingError
from bakery.config.values import FALSE, NULL, TRUE, Value
from bakery.config.values import number as number_value
from bakery.diagnostics import Diagnostic, did_you_mean
from bakery.values import frozen


@frozen
class JsonScalar:
    """A number, `true`, `false` or `null`."""

    start: int
    end: int
    value: Value


@frozen
class JsonText:
    """A string: its decoded text, and the offset in the file of each character and of the closing quote."""

    start: int
    end: int
    text: str
    places: Sequence[int]


@frozen
class JsonArray:
    """An array."""

    start: int
    end: int
    members: tuple[JsonNode, ...]


@frozen
class JsonObject:
    """An object: its properties in order, of which several may have the same name."""

    start: int
    end: int
    properties: tuple[tuple[JsonText, JsonNode], ...]


JsonNode = JsonScalar | JsonText | JsonArray | JsonObject


class JsonSyntaxError(Exception):
    """The text is not JSON; one diagnostic says where and why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic)
        self.diagnostic = diagnostic


_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
      (?P<string>"(?P<content>(?:[^"\\\x00-\x1f]|\\.)*)(?P<close>"|\Z|(?=[\x00-\x1f])))
    | (?P<number>-?[0-9][0-9.eE+\-]*)
    | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
    | (?P<sign>[{}\[\]:,])
    | (?P<other>.)
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z", re.ASCII)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))|[^\\]+", re.DOTALL)
_SIMPLE: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: Final = {"true": TRUE, "false": FALSE, "null": NULL}
_SHOWN: Final = 80  # characters of a wrong word in its error
_MUST_START: Final = "A JSON value must start with a brace, a bracket, a number, a string, or a keyword."


def read_json(source: Source) -> JsonNode:
    """The value of a whole text. Raises JsonSyntaxError or NestingError."""
    reader = _Reader(source)
    value = reader.value()
    if reader.kind != "end":
        raise reader.error("Extraneous data after value", "Extra characters appear after the JSON value.")
    return value


class _Reader:
    """Recursive descent; `kind`, `start` and `end` are those of the next token, `kind` of a sign being itself."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.end = 1 if source.text.startswith(BOM) else 0
        self.depth = 0
        self.advance()

    def advance(self) -> None:
        match = _TOKEN.match(self.source.text, self.end)
        assert match is not None
        kind = match.lastgroup
        if kind in ("content", "close"):
            kind = "string"
        assert kind is not None
        self.match = match
        self.start, self.end = match.span(kind)
        self.kind = match[kind] if kind == "sign" else kind

    def error(self, summary: str, detail: str, place: tuple[int, int] | None = None) -> JsonSyntaxError:
        return JsonSyntaxError(Diagnostic(summary, detail, self.source.span(*(place or (self.start, self.end)))))

    def value(self) -> JsonNode:
        match self.kind:
            case "{" | "[":
                self.depth += 1
                if self.depth > MAX_NESTING:
                    raise NestingError
                value = self.object() if self.kind == "{" else self.array()
                self.depth -= 1
                return value
            case "string":
                return self.string()
            case "number":
                return self.number()
            case "word":
                return self.word()
            case "}":
                raise self.error("Missing JSON value", _MUST_START)
            case "]":
                raise self.error("Missing array element value", _MUST_START)
            case "end":
                raise self.error("Missing value", "The JSON data ends prematurely.")
        raise self.error("Invalid start of value", _MUST_START)

    def object(self) -> JsonObject:
        opener = (self.start, self.end)
        self.advance()
        properties: list[tuple[JsonText, JsonNode]] = []
        while self.kind != "}":
            name = self.value()
            if not isinstance(name, JsonText):
                detail = "A JSON object property name must be a string"
                raise self.error("Invalid object property name", detail, (name.start, name.start + 1))
            self.colon()
            properties.append((name, self.value()))
            if self.kind == ",":
                comma = (self.start, self.end)
                self.advance()
                if self.kind == "}":
                    detail = "JSON does not permit a trailing comma after the final property in an object."
                    raise self.error("Trailing comma in object", detail, comma)
            elif self.kind == "end":
                raise self.error("Unclosed object", "No closing brace was found for this JSON object.", opener)
            elif self.kind == "]":
                raise self.error("Mismatched braces", "A JSON object must be closed with a brace, not a bracket.")
            elif self.kind != "}":
                detail = "A comma must appear between each property definition in an object."
                raise self.error("Missing attribute seperator comma", detail)
        end = self.end
        self.advance()
        return JsonObject(opener[0], end, tuple(properties))

    def colon(self) -> None:
        if self.kind == ":":
            self.advance()
            return
        if self.kind in ("}", ","):
            detail = "A JSON object attribute must have a value, introduced by a colon."
            raise self.error("Missing object value", detail)
        detail = "A colon must appear between an object property's name and its value."
        if self.source.text.startswith("=", self.start):
            detail = "JSON uses a colon as its name/value delimiter, not an equals sign."
        raise self.error("Missing property value colon", detail)

    def array(self) -> JsonArray:
        opener = (self.start, self.end)
        self.advance()
        members: list[JsonNode] = []
        while self.kind != "]":
            members.append(self.value())
            if self.kind == ",":
                comma = (self.start, self.end)
                self.advance()
                if self.kind == "]":
                    detail = "JSON does not permit a trailing comma after the final value in an array."
                    raise self.error("Trailing comma in array", detail, comma)
            elif self.kind == ":":
                raise self.error("Invalid array value", "A colon is not used to introduce values in a JSON array.")
            elif self.kind == "end":
                raise self.error("Unclosed array", "No closing bracket was found for this JSON array.", opener)
            elif self.kind == "}":
                raise self.error("Mismatched brackets", "A JSON array must be closed with a bracket, not a brace.")
            elif self.kind != "]":
                detail = "A comma must appear between each value in an array."
                raise self.error("Missing attribute seperator comma", detail)
        end = self.end
        self.advance()
        return JsonArray(opener[0], end, tuple(members))

    def number(self) -> JsonScalar:
        start, end = self.start, self.end
        text = self.source.text[start:end]
        try:
            if _NUMBER.match(text) is None:
                raise number.NumberError("There is a syntax error in the given JSON number")
            value = number_value(number.parse(text))
        except number.NumberError as problem:
            raise self.error("Invalid JSON number", f"{problem}.") from None
        self.advance()
        return JsonScalar(start, end, value)

    def word(self) -> JsonScalar:
        start, end = self.start, self.end
        word = self.source.text[start:end]
        if word not in _WORDS:
            if word in ("undefined", "NaN", "Infinity"):
                detail = f'The JavaScript identifier "{word}" cannot be used in JSON.'
            else:
                near = did_you_mean(word[:_SHOWN], _WORDS)
                shown = word if len(word) <= _SHOWN else word[:_SHOWN] + "…"
                detail = f'"{shown}" is not a valid JSON keyword.' + (f' Did you mean "{near}"?' if near else "")
            raise self.error("Invalid JSON keyword", detail)
        self.advance()
        return JsonScalar(start, end, _WORDS[word])

    def string(self) -> JsonText:
        start, end, content = self.start, self.end, self.match.start("content")
        raw = self.match["content"]
        if not self.match["close"]:
            place = (self.match.end("content"), min(self.match.end("content") + 1, len(self.source.text)))
            raise self.error("Invalid JSON string", "There is a syntax error in the given JSON string.", place)
        text, places = (raw, range(content, end)) if "\\" not in raw else self.decoded(raw, content)
        self.advance()
        return JsonText(start, end, text, places)

    def decoded(self, raw: str, offset: int) -> tuple[str, list[int]]:
        """A string with its escapes resolved, and the place of each character."""
        pieces: list[str] = []
        places: list[int] = []
        for match in _ESCAPE.finditer(raw):
            start, end = offset + match.start(), offset + match.end()
            if match[1] is None and match[2] is None:
                pieces.append(match[0])
                places.extend(range(start, end))
                continue
            meaning = chr(int(match[1], 16)) if match[1] else _SIMPLE.get(match[2])
            if meaning is None:
                detail = "There is a syntax error in the given JSON string."
                raise self.error("Invalid JSON string", detail, (start, end))
            last = pieces[-1] if pieces else ""
            if "\udc00" <= meaning <= "\udfff" and len(last) == 1 and "\ud800" <= last <= "\udbff":
                # the second half of a character beyond the first 65536
                meaning = chr(0x10000 + ((ord(pieces.pop()) - 0xD800) << 10) + ord(meaning) - 0xDC00)
                start = places.pop()
            pieces.append(meaning)
            places.append(start)
        places.append(offset + len(raw))
        return re.sub("[\ud800-\udfff]", "\ufffd", "".join(pieces)), places
