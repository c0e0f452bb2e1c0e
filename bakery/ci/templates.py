"""The templates of workflows. What goes into one is JSON, which YAML takes as it is, so that no text breaks out."""

from __future__ import annotations

import json
import shlex
from importlib.resources import files
from typing import Any


def render(name: str, **values: Any) -> str:
    """A workflow from a template of this folder."""
    from jinja2 import Environment, StrictUndefined

    # GitHub's own expressions are written ${{ … }}: ours have other brackets.
    environment = Environment(
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    environment.filters["yaml"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.filters["shell"] = shlex.quote
    text = (files("bakery.ci") / name).read_text(encoding="utf-8")
    return environment.from_string(text).render(values)
