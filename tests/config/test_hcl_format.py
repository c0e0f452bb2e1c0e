"""`bakery fmt`: one layout, comments kept, nothing but white space changed, and the second time nothing at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.config.hcl.parser import parse_body
from bakery.config.hcl_format import format_hcl
from bakery.diagnostics import BakeryError, Severity, SourceFile

CASES = Path(__file__).parent.parent / "vectors" / "bake"
FILES = sorted(path for path in CASES.rglob("*.hcl"))


def formatted(text: str) -> str:
    return format_hcl(SourceFile("docker-bake.hcl", text))


def test_everything_at_once() -> None:
    assert formatted(
        """

# head
target   "app"{
inherits=["base"] # why
      tags = [ "a:${ x }" ,"b" ]


  // own line
  args={
  A=1
      LONGER = f( -1 ,[1,2]... )  /* c */
  }
  x = c?a.b[0] : !d
  y = [for k,v in [1] : v if v>0]
  z = {}
  s=a[*].b
  h = <<-E
     kept
       as it is
  E
}
"""
    ) == (
        """# head
target "app" {
  inherits = ["base"] # why
  tags     = ["a:${ x }", "b"]

  // own line
  args = {
    A      = 1
    LONGER = f(-1, [1, 2]...) /* c */
  }
  x = c ? a.b[0] : !d
  y = [for k, v in [1] : v if v > 0]
  z = {}
  s = a[*].b
  h = <<-E
     kept
       as it is
  E
}
"""
    )


def test_several_brackets_on_a_line_are_one_level() -> None:
    text = 'target "a" {\n  tags = concat([\n    "x",\n  ], [\n    "y",\n  ])\n  m = [{\n    a = 1\n  }]\n}\n'
    assert formatted(text) == text


def test_trailing_comments_are_aligned() -> None:
    assert formatted("a = 1 # x\nbcd = 22 # y\n") == "a   = 1  # x\nbcd = 22 # y\n"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CASES)))
def test_formatting_twice_changes_nothing(path: Path) -> None:
    text = path.read_text()
    _, problems = parse_body(SourceFile(path.name, text))
    if any(problem.severity is Severity.ERROR for problem in problems):
        with pytest.raises(BakeryError):
            formatted(text)
        return
    once = formatted(text)
    assert formatted(once) == once
