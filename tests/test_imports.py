"""Imports only point down: bakery → engine, and inside the engine as docs/architecture.md lists its rooms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Higher lines may import from their own and lower ones. Contracts and values are at the bottom.
LINES: list[set[str]] = [
    {
        "engine.engine",
        "engine.ahead",
        "engine.together",
        "engine.workshop",
        "engine.wishes",
        "engine.bridge",
        "engine.house",
        "engine.delivery",
        "engine.telling",
        "engine.exchange",
        "engine.later",
        "engine.space",
        "engine.desk",
    },
    {"engine.solver"},
    {
        "engine.frontends",
        "engine.exporters",
        "engine.attestations",
        "engine.imagetools",
        "engine.ops",
        "engine.cache.remote",
    },
    {"engine.cache", "engine.sources"},
    {"engine.sandbox", "engine.snapshots", "engine.registry", "engine.objects"},
    {
        "engine.archive",
        "engine.blobs",
        "engine.oci",
        "engine.state",
        "engine.locks",
        "engine.key_locks",
        "engine.leases",
        "engine.ledger",
        "engine.salvage",
        "engine.reconcile",
        "engine.secret_values",
        "engine.turns",
    },
    {
        "engine.concurrency",
        "engine.request",
        "engine.results",
        "engine.stop",
        "engine.disks",
        "engine.tree",
        "engine.events",
        "engine.errors",
        "engine.platforms",
        "engine.patterns",
        "engine.llb",
        "engine.digests",
        "engine.values",
    },
]


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield name.removesuffix(".__init__"), path


def imports(path: Path, module: str) -> Iterator[str]:
    """What a module imports, also inside functions, but not for type checkers only."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: write imports out"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def line_of(module: str) -> int | None:
    if re.search(r"\.(contract|context)(\.|$)", module):
        return len(LINES) - 1
    for number, rooms in enumerate(LINES):
        if any(module == room or module.startswith(room + ".") for room in rooms):
            return number
    return None


def test_the_page_on_architecture_lists_the_same_lines() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^[1-9]\. .*(?:\n {3}.*)*", page.partition("imports point down this list")[2], re.MULTILINE)
    told = [{f"engine.{name}" for name in re.findall(r"`([a-z_.]+)`", row)} for row in rows[: len(LINES)]]
    assert told == LINES


def test_the_engine_never_imports_bakery() -> None:
    found = [(m, i) for m, path in modules("engine") for i in imports(path, m) if i.split(".")[0] == "bakery"]
    assert not found


def test_config_imports_neither_graph_nor_engine() -> None:
    banned = ("bakery.graph", "bakery.console", "bakery.cli", "engine")
    found = [
        (m, i)
        for m, path in modules("bakery/config")
        for i in imports(path, m)
        if any(i == b or i.startswith(b + ".") for b in banned)
    ]
    assert not found


def test_graph_imports_neither_console_nor_cli() -> None:
    found = [
        (m, i)
        for m, path in modules("bakery/graph")
        for i in imports(path, m)
        if i.startswith(("bakery.console", "bakery.cli"))
    ]
    assert not found


@pytest.mark.parametrize("line", range(len(LINES)))
def test_rooms_of_the_engine_import_only_downwards(line: int) -> None:
    wrong = []
    for module, path in modules("engine"):
        if line_of(module) != line:
            continue
        for imported in imports(path, module):
            target = line_of(imported) if imported.startswith("engine.") else None
            if target is not None and target < line:
                wrong.append(f"{module} imports {imported}")
    assert not wrong


def test_every_module_of_the_engine_has_its_line() -> None:
    unplaced = [m for m, path in modules("engine") if m != "engine" and line_of(m) is None and path.read_text().strip()]
    assert not unplaced
