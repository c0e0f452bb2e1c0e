"""HCL-JSON to the same syntax trees as native HCL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bakery.config.hcl.syntax import Body
from bakery.diagnostics import Diagnostic, SourceFile


@dataclass(frozen=True, slots=True)
class BlockSchema:
    """Which properties of a JSON object are blocks: JSON itself cannot tell.

    `labels` is how many label levels a block of this kind has; `blocks` are the kinds of blocks within it. Every other
    property is an attribute. The schema of a file is that of its (label-less) body.
    """

    labels: int = 0
    blocks: Mapping[str, BlockSchema] = field(default_factory=dict)


def parse_json_body(file: SourceFile, schema: BlockSchema) -> tuple[Body, list[Diagnostic]]:
    """A whole JSON file. Whatever is wrong with it is in the diagnostics; the body holds what could be read."""
    raise NotImplementedError
