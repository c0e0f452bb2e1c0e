"""Files of users and groups that no image should have."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.kitchen import Kitchen

from engine.sandbox.user import UserNotFoundError, find_user
from engine.tree import MAX_TEXT


@pytest.mark.parametrize("name", ["passwd", "group"])
def test_a_file_that_would_fill_the_memory_is_not_read(tmp_path: Path, name: str) -> None:
    kitchen = Kitchen(tmp_path, "native")
    with kitchen.store.new_layer(kitchen.base) as layer:
        (layer.path / "etc").mkdir(exist_ok=True)
        with (layer.path / "etc" / name).open("wb") as file:
            file.truncate(1 << 40)  # no disk holds so much; a layer's tar says it in a line
        tree = kitchen.store.tree(layer.commit("hollow"))
    with pytest.raises(UserNotFoundError, match=rf"^/etc/{name} is no list .*: it has more than {MAX_TEXT} bytes$"):
        find_user(tree, "baker:oven")
    assert find_user(kitchen.store.tree(kitchen.base), "baker:oven").gid == 77
