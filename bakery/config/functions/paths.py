"""Paths, by their text alone: no function reads a file."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bakery.config.functions.function import Function, FunctionError, Parameter, definer
from bakery.config.types import STRING
from bakery.config.values import Value, string

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_PATH = Parameter("path", STRING)


@_define(_PATH)
def basename(args: Sequence[Value]) -> Value:
    """The last element; `.` of nothing, `/` of nothing but slashes."""
    path = args[0].raw
    if not path:
        return string(".")
    return string(path.rstrip("/").rpartition("/")[2] or "/")


@_define(_PATH)
def dirname(args: Sequence[Value]) -> Value:
    """All but the last element, cleaned; `.` if there is none."""
    directory = posixpath.normpath(args[0].raw.rpartition("/")[0] + "/" if "/" in args[0].raw else ".")
    return string("/" + directory.lstrip("/") if directory.startswith("/") else directory)


@_define()
def homedir(args: Sequence[Value]) -> Value:
    """The user's home folder."""
    try:
        return string(str(Path.home()))
    except RuntimeError:
        raise FunctionError("the home folder of the user cannot be found out; set HOME") from None
