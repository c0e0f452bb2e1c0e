"""Results whose layers are gone from where they were: forgotten, so that they are made again."""

from __future__ import annotations

from collections.abc import Iterable

from engine.errors import LostLayerError, SourceError
from engine.state import State

IMPORTED = "imported "
"""Begins the identity of a result that came from a cache."""


def lost_layers(state: State, layers: Iterable[str], error: SourceError) -> SourceError:
    """The error to raise because layers cannot be had.

    If a result of an imported cache needs one of them, or one was only on this machine, all results are forgotten that
    need it, or another layer that is to come from the same place, and the error says that trying again will help. Where
    those layers are is forgotten as well: an image that has one of them tells where it is.
    """
    gone = [layer for layer in layers if _was_only_here(state, layer) or _is_imported(state, layer)]
    if not gone:
        return error
    with state.transaction():
        for layer in set().union(*(_from_the_same_place(state, layer) for layer in gone)):
            state.write("DELETE FROM records WHERE result LIKE ?", f'%"{layer}"%')
            state.write("DELETE FROM layer_blobs WHERE layer = ? AND options = ''", layer)
            state.write("DELETE FROM layers WHERE id = ? AND unpacked = 0", layer)
    return LostLayerError(
        f"a layer of an earlier build or an imported cache cannot be had any more: {error.message}",
        hint="run the build again: what it belonged to is made anew",
    )


def _from_the_same_place(state: State, layer: str) -> set[str]:
    rows = state.query(
        "SELECT b.layer FROM layer_blobs b JOIN layers l ON l.id = b.layer WHERE l.unpacked = 0 AND b.origin IN"
        " (SELECT origin FROM layer_blobs WHERE layer = ? AND origin <> '')",
        layer,
    )
    return {layer, *(row[0] for row in rows)}


def _was_only_here(state: State, layer: str) -> bool:
    return not state.query("SELECT 1 FROM layer_blobs WHERE layer = ? AND origin <> '' LIMIT 1", layer)


def _is_imported(state: State, layer: str) -> bool:
    rows = state.query(
        "SELECT 1 FROM records WHERE identity LIKE ? AND result LIKE ? LIMIT 1", f"{IMPORTED}%", f'%"{layer}"%'
    )
    return bool(rows)
