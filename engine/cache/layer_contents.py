"""Whether the layers of a state folder still hold what they held: by their marks, what was read before, and blobs."""

from __future__ import annotations

from enum import Enum

from engine.cache.packed_contents import as_packed
from engine.snapshots.marks import content_of, measure
from engine.state import State
from engine.values import frozen


class Content(Enum):
    """What can be said of a layer's files."""

    SAME = "as they were"
    CHANGED = "not as they were"
    NEW = "read for the first time, with nothing to compare them with"


@frozen
class LayerContents:
    """The layers that are here: how many, those whose files changed, sorted, and how many nothing is known of."""

    every: int
    changed: tuple[str, ...]
    new: int


def look_at_layers(state: State, deep: bool) -> LayerContents:
    """What the files of all layers that are here are. Of layers without a mark nothing is known.

    `deep`: read all files, too. What is read for the first time is compared with the layer's blob if that is here, and
    noted, for others to be compared with.
    """
    rows = state.query(
        "SELECT id, mark, content FROM layers LEFT JOIN layer_marks ON layer = id WHERE unpacked = 1 ORDER BY id"
    )
    found = {layer: _content(state, layer, mark, content, deep) for layer, mark, content in rows}
    changed = tuple(layer for layer, content in found.items() if content is Content.CHANGED)
    return LayerContents(len(rows), changed, sum(content is Content.NEW for content in found.values()))


def _content(state: State, layer: str, mark: str | None, known: str | None, deep: bool) -> Content:
    folder = state.layers / layer
    try:
        if not (folder / "fs").is_dir():
            return Content.SAME  # it is not here: others tell
        if mark is None:
            return Content.NEW
        if measure(folder).mark != mark:
            return Content.CHANGED
        if not deep:
            return Content.SAME
        found = content_of(folder)
        if known:
            return Content.SAME if found == known else Content.CHANGED
        same = as_packed(state, layer)
    except OSError:  # a file that cannot be read is lost
        return Content.CHANGED
    if same is False:
        return Content.CHANGED
    state.write("UPDATE layer_marks SET content = ? WHERE layer = ? AND mark = ?", found, layer, mark)
    return Content.SAME if same else Content.NEW
