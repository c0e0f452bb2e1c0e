"""Evaluated blocks to target drafts: blocks of one name merged in file order, over what Compose files declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakery.config.decode import text_of
from bakery.config.definition import Problems
from bakery.config.draft import TargetDraft
from bakery.config.hcl.syntax import AttributeStep, ScopeTraversal
from bakery.config.paths import rebase_contexts, rebase_files

if TYPE_CHECKING:
    from bakery.config.evaluation import Blocks
    from bakery.config.matrix import Expanded


def draft_blocks(blocks: Blocks, drafts: dict[str, TargetDraft], problems: Problems) -> None:
    """Add a draft per target, or merge into the one that is there; what is wrong goes to `problems`."""
    for targets in blocks.expanded.values():
        for target in targets:
            draft = _draft(blocks, target, problems)
            earlier = drafts.get(draft.name)
            if earlier is None:
                drafts[draft.name] = draft
            else:
                _lay(earlier, draft)


def _draft(blocks: Blocks, target: Expanded, problems: Problems) -> TargetDraft:
    source = target.source
    values = blocks.draft_values(target, problems)
    edits = problems.attempt(lambda: blocks.edits(target)) or []
    parents = problems.attempt(lambda: blocks.inherits(target)) or []
    origin = source.origin
    borrowed = _borrowed_context(blocks, target)
    if origin.folder or borrowed:
        context_folder = origin.folder if borrowed is None else borrowed
        rebase_contexts(values, origin.folder, context_folder)
    if origin.included:
        rebase_files(values, origin.folder)
    return TargetDraft(
        name=target.name,
        values=values,
        places={name: item.expr for name, item in source.block.body.attributes.items()},
        inherits=parents,
        span=source.span,
        matrix={axis: text_of(value) for axis, value in target.axes.items()},
        edits=list(edits),
        folder=origin.folder,
    )


def _borrowed_context(blocks: Blocks, target: Expanded) -> str | None:
    """Where `context = target.x.context` starts: a path keeps the base of the block that wrote it."""
    attribute = target.source.block.body.attributes.get("context")
    match attribute and attribute.expr:
        case ScopeTraversal(name="target", steps=(AttributeStep(name=other), AttributeStep(name="context"))):
            return blocks.expanded[other][-1].source.origin.folder if other in blocks.expanded else None
    return None


def _lay(earlier: TargetDraft, later: TargetDraft) -> None:
    earlier.lay(later)
    earlier.inherits = [*earlier.inherits, *later.inherits]
    earlier.edits = [*earlier.edits, *later.edits]
    earlier.span = later.span
    earlier.matrix = later.matrix or earlier.matrix
    earlier.folder = later.folder
