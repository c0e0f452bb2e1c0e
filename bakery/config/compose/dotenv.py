"""`.env` files: `NAME=value` lines with quotes, comments and references to what is known already."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bakery.config.compose.interpolate import substitute
from bakery.diagnostics import BakeryError, SourceFile

_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)\s*(?P<sign>[=:]?)\s*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}


def parse_dotenv(file: SourceFile, env: Mapping[str, str]) -> dict[str, str]:
    """The variables of a file. Values without or in double quotes may refer to `env` and to earlier lines.

    A name without value takes it from `env`, or is left out. Raises BakeryError for a line that is none of this.
    """
    found: dict[str, str] = {}
    text = file.text.removeprefix("\ufeff")
    at = line = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line += 1
        stripped = text[at:end].strip()
        if not stripped or stripped.startswith("#"):
            at = end + 1
            continue
        match = _LINE.match(text, at, end)
        if match is None or (not match["sign"] and match.end() < end and not text[match.end() : end].startswith("#")):
            raise BakeryError.of(f"failed to read {file.name}", f'line {line}: unexpected "{stripped[:40]}"')
        name, start = match["name"], match.end()
        if not match["sign"]:
            if name in env:
                found[name] = env[name]
            at = end + 1
            continue
        quote = text[start : start + 1]
        if quote in ("'", '"') and start < end:
            raw, after = _quoted(text, start, file, line)
            found[name] = raw if quote == "'" else _expanded(_unescaped(raw), env, found, file, line)
            line += text.count("\n", start, after)
            end = text.find("\n", after)
            end = len(text) if end < 0 else end
        else:
            found[name] = _expanded(re.split(r"\s+#", text[start:end], maxsplit=1)[0].strip(), env, found, file, line)
        at = end + 1
    return found


def _quoted(text: str, start: int, file: SourceFile, line: int) -> tuple[str, int]:
    quote = text[start]
    at = start + 1
    while at < len(text):
        if text[at] == "\\" and quote == '"':
            at += 2
        elif text[at] == quote:
            return text[start + 1 : at], at + 1
        else:
            at += 1
    raise BakeryError.of(f"failed to read {file.name}", f"line {line}: unterminated quoted value")


def _unescaped(raw: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), raw)


def _expanded(raw: str, env: Mapping[str, str], found: Mapping[str, str], file: SourceFile, line: int) -> str:
    try:
        return substitute(raw, lambda name: env.get(name, found.get(name)))
    except ValueError as error:
        raise BakeryError.of(f"failed to read {file.name}", f"line {line}: {error}") from None
