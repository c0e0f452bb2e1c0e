"""What others import and hardly a command uses: modules that click, dataclasses and pathlib begin with.

They are a seventh of the instructions that printing one target would take. Each is loaded as soon as it is really used.
"""

from __future__ import annotations

import os

from bakery.deferred import defer


def defer_rare_imports() -> None:
    """Defers them, and trio, which a command without work for it needs as little. To be called before click comes."""
    defer("trio")
    defer("inspect", cleandoc=_cleandoc)  # click: for the help of options; dataclasses: for classes without docstrings
    defer("gettext", gettext=_untranslated, ngettext=_untranslated_count)  # click has no translations
    defer("platform", system=_system)  # uuid, which click imports for a type of parameters: when it is imported
    # pathlib: for the URI of a path; the engine: where there is a URL.
    defer(
        "urllib.parse",
        "quote_from_bytes",
        "parse_qs",
        "quote",
        "unquote",
        "urlencode",
        "urljoin",
        "urlsplit",
        "urlunsplit",
    )
    defer("ipaddress")  # urllib.parse: for addresses in brackets
    defer("shutil")  # for removals, and with all its kinds of archives


def _cleandoc(doc: str) -> str:
    first, *others = doc.expandtabs().split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in others if line.strip()), default=0)
    return "\n".join([first.lstrip(), *(line[margin:] for line in others)]).strip("\n")


def _untranslated(message: str) -> str:
    return message


def _untranslated_count(one: str, many: str, count: int) -> str:
    return one if count == 1 else many


def _system() -> str:
    return os.uname().sysname
