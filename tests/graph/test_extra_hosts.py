"""Extra hosts of targets, as steps get them."""

from __future__ import annotations

from bakery.graph.frontend_request import host_lines


def test_each_address_is_a_line_and_the_gateway_is_this_machine() -> None:
    lines = host_lines({"db": "10.0.0.7,fd00::7", "gate": "host-gateway"})
    assert lines == ["db=10.0.0.7", "db=fd00::7", "gate=127.0.0.1"]
