"""A Dockerfile from standard input: a target that says `dockerfile = "-"` has the text as if it were inline.

`docker build -f -` knows this, bake refuses it. Here it is read once, whoever asks for it, and never where the bake
file itself comes that way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bakery.config.discover import MAX_SIZE, STDIN
from bakery.config.draft import TargetDraft
from bakery.config.request import LoadRequest
from bakery.diagnostics import BakeryError


def wants_standard_input(draft: TargetDraft) -> bool:
    """Whether a target's Dockerfile is standard input; one that is inline, too, counts first."""
    return draft.values.get("dockerfile") == STDIN and draft.values.get("dockerfile-inline") is None


def with_standard_input(drafts: Iterable[TargetDraft], request: LoadRequest) -> dict[str, TargetDraft]:
    """The targets, with the text of standard input in those that want it.

    Raises:
        BakeryError: if standard input is the bake file, cannot be read, or is empty.
    """
    text: str | None = None
    found = {}
    for draft in drafts:
        if wants_standard_input(draft):
            text = _read(draft, request) if text is None else text
            values = {name: value for name, value in draft.values.items() if name != "dockerfile"}
            draft = replace(draft, values={**values, "dockerfile-inline": text})
        found[draft.name] = draft
    return found


def _read(draft: TargetDraft, request: LoadRequest) -> str:
    span = draft.span_of("dockerfile")
    wanted = f'target {draft.name}: dockerfile is "-"'
    if request.stdin is not None:
        raise BakeryError.of(
            f"{wanted}, but standard input is the bake file already (-f -)",
            span=span,
            hint="name one of them as a file, or write the Dockerfile into the bake file as dockerfile-inline",
        )
    data = request.standard_input(MAX_SIZE + 1)
    if not data:
        raise BakeryError.of(
            f"{wanted}, and standard input is empty",
            span=span,
            hint=f"pipe the text in: bakery build {draft.name} --set {draft.name}.dockerfile=- < Dockerfile",
        )
    if len(data) > MAX_SIZE:
        raise BakeryError.of(f"{wanted}, and standard input is larger than {MAX_SIZE // 1_000_000} MB", span=span)
    return data.decode("utf-8", "surrogateescape")
