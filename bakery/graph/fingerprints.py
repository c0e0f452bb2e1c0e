"""What targets come to, without building them: two states of a target with one fingerprint build the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.graph.build import BuildOptions, build_request, lower_with
from bakery.values import frozen
from engine.request import Wanted

if TYPE_CHECKING:
    from bakery.config.target import Project
    from engine.llb.definition import Edge


@frozen
class Found:
    """The fingerprint of each target that was asked for: its results, image configurations and outputs.

    None for a target whose inputs cannot be known now, such as a file that is not there. `folders` of this machine are
    what the targets take files from; they are the same when their content is, wherever they lie.
    """

    targets: Mapping[str, str | None]
    folders: frozenset[Path]


def project_fingerprints(project: Project, options: BuildOptions) -> Found:
    """The fingerprints of a project. Raises as `bakery.graph.build.run_build`."""
    import trio

    return trio.run(_fingerprints, project, options)


async def _fingerprints(project: Project, options: BuildOptions) -> Found:
    from engine.engine import Engine

    async with Engine.open(options.root, runtime=options.runtime) as engine:
        request = build_request(project, await lower_with(engine, project, options), options)
        keys = await engine.fingerprints(request)
    wanted = [one for one in request.wanted if one.name in project.targets and project.targets[one.name].requested]
    targets = {one.name: _fingerprint(one, keys, options) for one in wanted}
    return Found(targets, frozenset(request.folders.values()))


def _fingerprint(wanted: Wanted, keys: Mapping[Edge, str | None], options: BuildOptions) -> str | None:
    results: list[object] = []
    for platform in wanted.platforms:
        key = keys[platform.edge] if platform.edge else "scratch"
        if key is None:
            return None
        results.append([platform.id, key, platform.config])
    outputs = [[export.type, dict(export.attributes)] for export in wanted.exports]
    text = json.dumps([results, outputs, wanted.epoch], sort_keys=True, default=str)
    return sha256(text.replace(str(options.cwd), ".").encode()).hexdigest()
