"""What a target asks of the Dockerfile frontend."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.config.target import Target
from bakery.diagnostics import BakeryError
from bakery.graph.frontend_request import Surroundings, frontend_request
from engine.frontends.contract import FrontendRequest


def asked(target: Target, folder: Path) -> FrontendRequest:
    (folder / "Dockerfile").write_text("FROM scratch\n")
    return frontend_request(target, {}, Surroundings(folder))


@pytest.mark.parametrize(("network", "mode"), [(None, None), ("default", None), ("none", "none"), ("host", "host")])
def test_networks_are_those_of_steps(network: str | None, mode: str | None, tmp_path: Path) -> None:
    assert asked(Target("app", network=network), tmp_path).options.get("force-network-mode") == mode


def test_another_network_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match="target app: invalid netmode bridge") as caught:
        asked(Target("app", network="bridge"), tmp_path)
    assert caught.value.diagnostics[0].hint == "known are default, host, none"


@pytest.mark.parametrize("name", ["context", "dockerfile"])
def test_a_named_context_does_not_take_the_place_of_the_targets_own_folders(name: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    request = asked(Target("app", contexts={name: "other"}), tmp_path)
    assert request.options[f"context:{name}"] == f"local:_{name}"
    assert {key: folder.path for key, folder in request.locals.items()} == {
        "context": tmp_path,
        "dockerfile": tmp_path,
        f"_{name}": tmp_path / "other",
    }
