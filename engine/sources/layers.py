"""Layers that came with an image: their names, and where they can be had.

A layer is named by its chain ID, the hash over its own diff ID and those below it. So the same layer of any image is
the same layer here, and the layer below it is found by arithmetic: it is the one with which the hash comes out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from engine import oci
from engine.digests import Digest, hex_of, parse_digest
from engine.results import LayerID
from engine.state import State
from engine.values import frozen

LAYOUT_ORIGIN = "oci-layout:"
"""Begins an origin that is the path of an OCI layout."""
OBJECTS_ORIGIN = "objects:"
"""Begins an origin that is a place in an object service (`engine.objects`); any other is an image reference."""


@frozen
class LayerBlob:
    """A compressed form of a layer, and where it comes from: an image reference, a layout, or "" for only here."""

    descriptor: oci.Descriptor
    origin: str

    @property
    def reference(self) -> str:
        """The image reference that it can be had by, "" if there is none."""
        return "" if self.origin.startswith((LAYOUT_ORIGIN, OBJECTS_ORIGIN)) else self.origin


def layer_ids(diff_ids: Sequence[Digest]) -> tuple[LayerID, ...]:
    """The names of an image's layers, the lowest first."""
    return tuple(LayerID(hex_of(chain)) for chain in oci.chain_ids(diff_ids))


def record_layers(
    state: State, diff_ids: Sequence[Digest], blobs: Sequence[oci.Descriptor], origin: str, description: str
) -> tuple[LayerID, ...]:
    """Records an image's layers as known, fetched or not. What is recorded already costs no writing."""
    ids = layer_ids(diff_ids)
    marks = ",".join("?" * len(ids))
    known = {
        row[0] for row in state.query(f"SELECT id FROM layers WHERE id IN ({marks}) AND diff_id IS NOT NULL", *ids)
    }
    at_origin = {
        (row[0], row[1])
        for row in state.query(
            # A layer that is yet to come is had from where it was seen last: the first place may be gone.
            "SELECT b.layer, b.digest FROM layer_blobs b JOIN layers l ON l.id = b.layer"
            f" WHERE b.layer IN ({marks}) AND b.options = '' AND b.origin <> '' AND (b.origin = ? OR l.unpacked = 1)",
            *ids,
            origin,
        )
    }
    now = time.time()
    layers = [(i, d, now, now, description) for i, d in zip(ids, diff_ids, strict=True) if i not in known]
    forms = [
        (i, b.digest, b.media_type, b.size, origin)
        for i, b in zip(ids, blobs, strict=True)
        if (i, b.digest) not in at_origin
    ]
    if layers or forms:
        with state.transaction():
            state.write_many(
                "INSERT INTO layers (id, unpacked, diff_id, size, created, used, description)"
                " VALUES (?, 0, ?, 0, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET diff_id = excluded.diff_id",
                layers,
            )
            state.write_many(
                "INSERT INTO layer_blobs (layer, digest, media_type, size, options, origin) VALUES (?, ?, ?, ?, '', ?)"
                " ON CONFLICT (layer, options, digest) DO UPDATE SET origin = excluded.origin",
                forms,
            )
    return ids


def diff_id_of(state: State, layer: LayerID) -> Digest | None:
    """The digest of a layer's tar, where it is known."""
    rows = state.query("SELECT diff_id FROM layers WHERE id = ?", layer)
    return Digest(rows[0][0]) if rows and rows[0][0] else None


def blobs_of(state: State, layer: LayerID) -> list[LayerBlob]:
    """The compressed forms of a layer that are known."""
    rows = state.query("SELECT media_type, digest, size, origin FROM layer_blobs WHERE layer = ?", layer)
    return [LayerBlob(oci.Descriptor(kind, Digest(digest), size), origin) for kind, digest, size, origin in rows]


def layers_below(state: State, layer: LayerID, near: Iterable[LayerID]) -> tuple[LayerID, ...]:
    """The layers below one that came with an image, the lowest first; nothing for one that did not.

    `near` are layers to try first: mostly the parent is among those fetched at the same time.
    """
    below: list[LayerID] = []
    candidates, everything = list(near), False
    while (diff_id := diff_id_of(state, layer)) and hex_of(diff_id) != layer:
        parent = next((c for c in candidates if _continues(c, diff_id, layer)), None)
        if parent is None and not everything:
            rows = state.query("SELECT id FROM layers WHERE diff_id IS NOT NULL")
            candidates, everything = [LayerID(row[0]) for row in rows], True
            continue
        if parent is None:
            return ()
        below.append(parent)
        layer = parent
    return tuple(reversed(below))


def _continues(parent: LayerID, diff_id: Digest, layer: LayerID) -> bool:
    try:
        chain = parse_digest(f"sha256:{parent}")
    except ValueError:
        return False
    return hex_of(oci.chain_ids((chain, diff_id))[1]) == layer
