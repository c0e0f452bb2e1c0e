"""What a step may not do unless the target asks for it and the user allows it: checked before any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.errors import EntitlementError
from engine.llb.definition import Vertex
from engine.llb.ops import CDIDevice, NetMode, SecurityMode

HOST_NETWORK = "network.host"
INSECURE = "security.insecure"
DEVICE = "device"


def check_entitlements(vertices: Iterable[Vertex], declared: frozenset[str], allowed: frozenset[str]) -> None:
    """Raises EntitlementError for the first step that needs what was not declared by its target, or not allowed."""
    for vertex in vertices:
        for need in needs(vertex):
            if not _granted(need, allowed):
                raise EntitlementError(
                    f"{need} is not allowed",
                    places=vertex.note.places,
                    vertex=vertex.name,
                    hint=f"to allow it for this build, add --allow={need}",
                )
            if not _granted(need, declared):
                raise EntitlementError(
                    f"{need} is not among the target's entitlements",
                    places=vertex.note.places,
                    vertex=vertex.name,
                    hint=f'add entitlements = ["{need}"] to the target',
                )


def needs(vertex: Vertex) -> Iterator[str]:
    """The entitlements that a vertex needs: none for an optional device that this machine does not have."""
    step = vertex.op.exec
    if step is None:
        return
    if step.network == NetMode.HOST:
        yield HOST_NETWORK
    if step.security == SecurityMode.INSECURE:
        yield INSECURE
    for device in step.cdi_devices:
        if not device.optional or _is_there(device):
            yield f"{DEVICE}={device.name}"


def granted(declared: frozenset[str], allowed: frozenset[str]) -> frozenset[str]:
    """What is both declared by a target and allowed; `device` stands for every device."""
    return frozenset(need for need in declared | allowed if _granted(need, declared) and _granted(need, allowed))


def _is_there(device: CDIDevice) -> bool:
    from engine.sandbox.devices import is_described

    return is_described(device)


def _granted(need: str, given: frozenset[str]) -> bool:
    return need in given or need.partition("=")[0] in given
