"""Results of earlier builds, exported again: nothing is solved, nothing is looked up but layers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from engine.delivery import export_target
from engine.errors import EngineError, StateError
from engine.exporters.contract import Export
from engine.exporters.results import known_results, load_result
from engine.request import BuildResult, Outcome, TargetResult

if TYPE_CHECKING:
    from engine.house import House


async def export_results(house: House, project: str, targets: Iterable[str], exports: Sequence[Export]) -> BuildResult:
    """Sends the last results of a project's targets (none named: those of its last build) to outputs.

    Raises:
        StateError: if there is no such result.
    """
    known = known_results(house.state, project)
    names = list(targets) or [name for name, built in known.items() if built == max(known.values())]
    if not names:
        raise StateError(f"nothing was built in {project} yet", hint="run `bakery build` first")
    for name in names:
        if name not in known:
            there = ", ".join(known) or "none"
            raise StateError(f"the target {name} was not built in {project}", hint=f"there are results of: {there}")
    if len(names) > 1 and any(export.attributes.get("dest") for export in exports):
        raise StateError("several targets cannot be written to one place", hint=f"name one of {', '.join(names)}")
    return BuildResult({name: await _one(house, project, name, exports) for name in names})


async def _one(house: House, project: str, name: str, exports: Sequence[Export]) -> TargetResult:
    begun = time.time()
    metadata: dict[str, str] = {}
    size = 0
    try:
        target = load_result(house.state, project, name)
        for number, export in enumerate(exports):
            result = await export_target(target, number, export, house)
            metadata |= result.metadata
            size = max(size, result.size)
    except EngineError as error:
        return TargetResult(name, Outcome.FAILED, metadata, error, seconds=time.time() - begun)
    return TargetResult(name, Outcome.SUCCEEDED, metadata, None, seconds=time.time() - begun, size=size)
