"""`include = ["services/*/bakery.hcl"]`: other files of the same dialect, each with its relative paths kept."""

from __future__ import annotations

import glob
import os
import posixpath
from pathlib import Path

from bakery.config.hcl.evaluate import evaluate
from bakery.config.hcl.scope import RootScope
from bakery.config.hcl.syntax import Attribute
from bakery.config.textforms import clean_path
from bakery.config.types import STRING
from bakery.config.values import Value
from bakery.diagnostics import BakeryError


def included_files(include: Attribute, parent: str, cwd: Path) -> list[str]:
    """Paths from the working folder, patterns expanded in sorted order. Raises BakeryError.

    Paths and patterns are written out: includes are read before there are any variables.
    """
    value = evaluate(include.expr, RootScope())
    members = [value] if value.type == STRING else value.raw if isinstance(value.raw, tuple) else ()
    if not members or not all(isinstance(member, Value) and isinstance(member.raw, str) for member in members):
        raise BakeryError.of("Invalid include", "a path or a list of paths is required", include.expr.span)
    found: list[str] = []
    for member in members:
        pattern = clean_path(posixpath.join(posixpath.dirname(parent), member.raw))
        if any(char in pattern for char in "*?["):
            names = glob.glob(pattern, root_dir=None if pattern.startswith("/") else cwd, recursive=True)
            found.extend(sorted(clean_path(name) for name in names if clean_path(name) != clean_path(parent)))
        elif os.path.isfile(cwd / pattern):
            found.append(pattern)
        else:
            raise BakeryError.of("Invalid include", f"{pattern}: no such file", include.expr.span)
    return found
