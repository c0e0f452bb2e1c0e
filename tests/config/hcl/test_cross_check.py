"""On what both understand, our parser and python-hcl2 read the same."""

import pytest

from bakery.config.hcl.evaluate import evaluate
from bakery.config.hcl.parser import parse_body
from bakery.config.hcl.scope import RootScope
from bakery.config.hcl.syntax import Body
from bakery.config.values import to_python
from bakery.diagnostics import SourceFile

COMMON = {
    "numbers and strings": 'a = 1\nb = "two"\nc = 3.5\nd = true\ne = false\n',
    "lists": 'a = ["x", "y"]\nb = []\nc = [1, [2, 3]]\nd = [\n  "p",\n  "q",\n]\n',
    "objects": 'a = {\n  b = 1\n  c = "d"\n}\ne = { f = [1] }\n',
    "a block": 'target "app" {\n  tags = ["a:1"]\n  context = "."\n}\n',
    "several blocks": 'target "a" {\n}\ntarget "b" {\n  x = 1\n}\ngroup "g" {\n  targets = ["a"]\n}\n',
    "blocks in blocks": 'variable "v" {\n  default = "x"\n  validation {\n    condition = true\n  }\n}\n',
    "comments": "# one\na = 1 // two\n/* three */\nb = 2\n",
    "escapes in strings": 'a = "tab\\there"\nb = "quote\\"d"\n',
}


def _plain(data: object) -> object:
    """What python-hcl2 gives without its marks, and strings without the quotes it keeps."""
    if isinstance(data, dict):
        return {_plain(key): _plain(value) for key, value in data.items() if not str(key).startswith("__")}
    if isinstance(data, list):
        return [_plain(member) for member in data]
    if isinstance(data, str) and len(data) >= 2 and data[0] == data[-1] == '"':
        return data[1:-1].replace("\\t", "\t").replace('\\"', '"')
    return data


def _ours(body: Body) -> dict[str, object]:
    """Our tree in the shape that python-hcl2 gives."""
    plain: dict[str, object] = {
        name: to_python(evaluate(attribute.expr, RootScope())) for name, attribute in body.attributes.items()
    }
    for block in body.blocks:
        inner: object = _ours(block.body)
        for label in reversed(block.labels):
            inner = {label: inner}
        found = plain.setdefault(block.type, [])
        assert isinstance(found, list)
        found.append(inner)
    return plain


@pytest.mark.parametrize("text", COMMON.values(), ids=COMMON.keys())
def test_both_parsers_read_the_same(text: str) -> None:
    import hcl2

    body, problems = parse_body(SourceFile("f.hcl", text))
    assert problems == []
    assert _ours(body) == _plain(hcl2.loads(text))
