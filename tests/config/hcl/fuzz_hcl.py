"""Fuzzing by hand: mutated bake files never make anything but diagnostics.

    python tests/config/hcl/fuzz_hcl.py [--count 100000] [--seed N]

Prints its seed first; an input that breaks the rule is printed with the traceback, and the exit code is 1. The test
suite runs a short turn of it (`test_fuzz.py`).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from bakery.config.functions import BUILTINS
from bakery.config.hcl.evaluate import evaluate
from bakery.config.hcl.json_syntax import BlockSchema, parse_json_body
from bakery.config.hcl.parser import parse_body
from bakery.config.hcl.scope import RootScope
from bakery.config.hcl.syntax import Body, functions, variables, walk
from bakery.config.type_constraint import parse_type
from bakery.config.values import from_python
from bakery.diagnostics import BakeryError, SourceFile

VECTORS = Path(__file__).parents[2] / "vectors"

SCHEMA = BlockSchema(blocks={name: BlockSchema(1) for name in ("target", "group", "variable", "function")})

FUNCTIONS = {name: BUILTINS[name] for name in BUILTINS if name != "bcrypt"}  # slow on purpose

VARIABLES = {
    name: from_python(data)
    for name, data in {
        "a": 1,
        "b": "text",
        "c": True,
        "d": None,
        "e": [1, "two", None],
        "f": {"k": [{"x": 1}, {"x": 2}], "j": "é"},
        "x": 0.1,
        "y": [],
        "TAG": "latest",
    }.items()
}

PIECES = [
    *("${", "%{", "}", "{", "[", "]", "(", ")", '"', "\n", "<<E\n", "<<-E\n", "\nE\n", "=", "=>", ",", ".", "..."),
    *("*", "[*]", ".*", "?", ":", "::", "!", "-", "+", "/", "%", "<", ">=", "==", "&&", "||", "|", "~}", "${~", "$${"),
    *("for x in ", "if ", "else", "endif", "endfor", "true", "null", "0", "1.5", "1e3", "1e999", "-1", "é", "\u0301"),
    *("\\n", "\\u00", "\\", "#", "//", "/*", "*/", "\r\n", "\t", "\0", "\ufeff", "\ud800", "a", "b", "e[0]", "f.k"),
    *("target", "\U0001f600", "\u2028"),
]


def corpus() -> list[tuple[str, bool]]:
    """Texts to mutate, and whether they are JSON."""
    snippets = [case["text"] for case in json.loads((VECTORS / "hcl" / "syntax.json").read_text(encoding="utf-8"))]
    texts = [(text, False) for text in snippets]
    for path in sorted((VECTORS / "bake").glob("*/*")):
        if path.suffix in (".hcl", ".json") and path.name not in ("case.json", "stdout.json"):
            texts.append((path.read_text(encoding="utf-8"), path.suffix == ".json"))
    texts += [(f"a = {name}(b, e, f, a, {index})\n", False) for index, name in enumerate(FUNCTIONS)]
    return texts


def mutated(text: str, texts: list[tuple[str, bool]], chance: random.Random) -> str:
    """A text with one to six changes: pieces put in, taken out, doubled, swapped, or brought in from another text."""
    for _ in range(chance.randint(1, 6)):
        start = chance.randint(0, len(text))
        end = min(len(text), start + chance.choice((0, 1, 2, 5, 20)))
        match chance.randrange(5):
            case 0:
                text = text[:start] + text[end:]
            case 1:
                text = text[:start] + chance.choice(PIECES) + text[end:]
            case 2:
                text = text[:start] + text[start:end] * chance.choice((2, 3, 50)) + text[end:]
            case 3:
                other = chance.choice(texts)[0]
                at = chance.randint(0, len(other))
                text = text[:start] + other[at : at + chance.randint(0, 40)] + text[end:]
            case _:
                text = text[:start] + chance.choice(PIECES) + text[start:end] + chance.choice(PIECES) + text[end:]
    return text[:20_000]


def inputs(count: int, seed: int) -> Iterator[tuple[str, bool]]:
    """Mutated texts, the same for the same seed, and whether they are to be read as JSON."""
    chance = random.Random(seed)
    texts = corpus()
    for _ in range(count):
        text, is_json = chance.choice(texts)
        yield mutated(text, texts, chance), is_json


def exercise(text: str, is_json: bool) -> None:
    """Parse a text and evaluate all of it. Raises whatever should not be raised."""
    file = SourceFile("fuzz", text)
    body, problems = parse_json_body(file, SCHEMA) if is_json else parse_body(file)
    for problem in problems:
        str(problem)
    _evaluate_body(body)


def _evaluate_body(body: Body) -> None:
    scope = RootScope(VARIABLES, FUNCTIONS)
    for attribute in body.attributes.values():
        str(attribute.span)
        functions(attribute.expr)
        variables(attribute.expr)
        for node in walk(attribute.expr):
            assert node.end >= node.start >= 0, node
        for reader in (lambda expr: evaluate(expr, scope), parse_type):
            try:
                reader(attribute.expr)
            except BakeryError as error:
                for problem in error.diagnostics:
                    str(problem)
    for block in body.blocks:
        str(block.header_span)
        _evaluate_body(block.body)


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the bake language.")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.count} inputs", flush=True)
    slowest, slowest_text, started = 0.0, "", time.monotonic()
    for index, (text, is_json) in enumerate(inputs(options.count, options.seed)):
        before = time.monotonic()
        try:
            exercise(text, is_json)
        except Exception:
            traceback.print_exc()
            print(f"input {index}: {text!r}")
            return 1
        if time.monotonic() - before > slowest:
            slowest, slowest_text = time.monotonic() - before, text
    print(f"no failure in {time.monotonic() - started:.0f} s")
    print(f"slowest input took {slowest:.2f} s: {slowest_text[:300]!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
