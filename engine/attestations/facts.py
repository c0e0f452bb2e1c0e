"""What is known of how a target's platforms were made, gathered when they are done."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from engine.digests import Digest
from engine.exporters.contract import BuildFacts
from engine.frontends.contract import FrontendRequest
from engine.llb.definition import Definition
from engine.results import Snapshot
from engine.sources.contract import Resolved


def build_facts(
    definition: Definition,
    request: FrontendRequest | None,
    resolved: Mapping[Digest, Resolved],
    started: float,
    finished: float,
    scan: Definition | None = None,
) -> BuildFacts:
    """The facts of one platform. `resolved` may hold sources of others, too. Times in seconds since the epoch.

    `scan` is what looks at the result for its SBOM.
    """
    walked = [*definition.walk(), *(scan.walk() if scan else ())]
    mine = {v.digest: resolved[v.digest] for v in walked if v.digest in resolved}
    return BuildFacts(
        definition,
        request,
        pins={digest: source.pin for digest, source in mine.items()},
        bases={d: len(source.result.layers) for d, source in mine.items() if isinstance(source.result, Snapshot)},
        started=started,
        finished=finished,
        build=secrets.token_hex(12),
        scan=scan,
    )


def provenance_response(mode: str, facts: Mapping[str, BuildFacts], *, multi: bool) -> dict[str, str]:
    """The provenance for the metadata file, by BuildKit's keys: with the platform where the result has several."""
    from engine.attestations.provenance import ProvenanceOptions, encoded, response

    options = ProvenanceOptions(full=mode == "max")
    key = "buildx.build.provenance"
    return {
        f"{key}/{platform}" if multi else key: encoded(response(options, found)) for platform, found in facts.items()
    }
