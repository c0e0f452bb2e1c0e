"""Whether the layers of a state folder still hold what they held: by their marks, and by what was read before."""

from __future__ import annotations

from collections.abc import Iterator

from engine.snapshots.marks import content_of, measure
from engine.state import State


def never_read(state: State) -> tuple[int, int]:
    """The number of layers whose files' contents there is nothing to compare with, and that of all layers."""
    ((new, every),) = state.query(
        "SELECT count(*) - count(nullif(content, '')), count(*)"
        " FROM layers LEFT JOIN layer_marks ON layer = id WHERE unpacked = 1"
    )
    return new, every


def changed_layers(state: State, deep: bool) -> Iterator[str]:
    """The layers whose files are not what they were, sorted. Those that are not there, or have no mark, are left out.

    `deep`: read all files, too. What is read for the first time is noted, for others to be compared with.
    """
    rows = state.query(
        "SELECT layer, mark, content FROM layer_marks"
        " WHERE layer IN (SELECT id FROM layers WHERE unpacked = 1) ORDER BY layer"
    )
    for layer, mark, content in rows:
        folder = state.layers / layer
        try:
            if not (folder / "fs").is_dir():
                continue
            if measure(folder).mark != mark:
                yield layer
            elif deep:
                found = content_of(folder)
                if not content:
                    state.write("UPDATE layer_marks SET content = ? WHERE layer = ? AND mark = ?", found, layer, mark)
                elif found != content:
                    yield layer
        except OSError:  # a file that cannot be read is lost
            yield layer
