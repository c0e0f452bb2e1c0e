"""Devices that a step is given by name, as the Container Device Interface describes them on this machine.

Names are found as BuildKit finds them: `vendor/class=name`, `vendor/class=*` for all, `vendor/class` for the first one,
or the class that an annotation gives.

Format: https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from engine.errors import StepError
from engine.llb.ops import CDIDevice
from engine.sandbox.contract import Hook
from engine.sandbox.hooks import hook_of
from engine.values import frozen

FOLDERS = (Path("/etc/cdi"), Path("/var/run/cdi"), Path("/etc/buildkit/cdi"))
"""Where descriptions are; a device in a later one takes the place of an equal one before."""
_CLASS = "org.mobyproject.buildkit.device.class"
_MAX_FILE = 1 << 20
_READ_ONLY = "ro"


@frozen
class DeviceMount:
    """A file, a folder or a device node (`is_node`) of this machine that is shown in the step."""

    source: Path
    dest: str
    readonly: bool = False
    is_node: bool = False


@frozen
class Edits:
    """What a step gets with its devices."""

    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[DeviceMount, ...] = ()
    groups: tuple[int, ...] = ()
    hooks: tuple[Hook, ...] = ()

    def joined(self, other: Edits) -> Edits:
        """These and then others."""
        mounts = {mount.dest: mount for mount in (*self.mounts, *other.mounts)}
        groups = dict.fromkeys((*self.groups, *other.groups))
        return Edits({**self.env, **other.env}, tuple(mounts.values()), tuple(groups), (*self.hooks, *other.hooks))


@frozen
class _Device:
    classes: frozenset[str]
    own: Edits
    shared: Edits
    file: Path


def find_devices(wanted: Iterable[CDIDevice]) -> Edits:
    """What a step gets that asks for some devices.

    Raises:
        StepError: for a device that must be there and is not, or a description that makes no sense.
    """
    known = _described()
    names = dict.fromkeys(name for device in wanted for name in _names(device, known))
    found = Edits()
    for file in dict.fromkeys(known[name].file for name in names):
        found = found.joined(next(known[name].shared for name in names if known[name].file == file))
    for name in names:
        found = found.joined(known[name].own)
    return found


def is_described(device: CDIDevice) -> bool:
    """Whether this machine has a device. Raises StepError for a description that makes no sense."""
    return bool(_matching(device.name, _described()))


def _names(device: CDIDevice, known: Mapping[str, _Device]) -> list[str]:
    found = _matching(device.name, known)
    if not found and not device.optional:
        raise StepError(
            f"required device {device.name!r} is not registered",
            hint=f"devices are described in {', '.join(map(str, FOLDERS))}; who leaves out `required` can do without",
        )
    return found


def _matching(wanted: str, known: Mapping[str, _Device]) -> list[str]:
    kind, _, name = wanted.partition("=")
    of_kind = [full for full in sorted(known) if full.startswith(f"{kind}=")]
    if name not in ("", "*"):
        found = [full for full in of_kind if full == wanted]
    else:
        found = of_kind if name else of_kind[:1]
    return found or [full for full in sorted(known) if wanted in known[full].classes]


def _described() -> dict[str, _Device]:
    found: dict[str, _Device] = {}
    for folder in FOLDERS:
        for file in sorted(folder.glob("*")):
            if file.suffix in (".json", ".yaml", ".yml"):
                found |= _read(file)
    return found


def _read(file: Path) -> dict[str, _Device]:
    try:
        with file.open("rb") as stream:
            text = stream.read(_MAX_FILE)
        if file.suffix == ".json":
            document = json.loads(text)
        else:
            import yaml

            document = yaml.load(text, yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader)
        return dict(_devices(document, file))
    except OSError as error:
        raise StepError(f"cannot read {file}: {error.strerror}") from error
    except Exception as error:  # whatever a file of any content may do to its readers
        hint = "mend it, or move it away"
        raise StepError(f"{file} does not describe devices: {type(error).__name__}: {error}", hint=hint) from error


def _devices(document: Any, file: Path) -> Iterator[tuple[str, _Device]]:
    shared = _edits(document.get("containerEdits") or {})
    common = (document.get("annotations") or {}).get(_CLASS)
    for device in document["devices"]:
        classes = {str(name) for name in (common, (device.get("annotations") or {}).get(_CLASS)) if name}
        own = _edits(device.get("containerEdits") or {})
        yield f"{document['kind']}={device['name']}", _Device(frozenset(classes), own, shared, file)


def _edits(edits: Mapping[str, Any]) -> Edits:
    nodes = [
        DeviceMount(Path(node.get("hostPath") or node["path"]), node["path"], is_node=True)
        for node in edits.get("deviceNodes") or ()
    ]
    mounts = [
        DeviceMount(Path(item["hostPath"]), item["containerPath"], _READ_ONLY in (item.get("options") or ()))
        for item in edits.get("mounts") or ()
    ]
    env = dict(text.partition("=")[::2] for text in edits.get("env") or ())
    groups = tuple(int(group) for group in edits.get("additionalGIDs") or () if group)
    return Edits(env, (*nodes, *mounts), groups, tuple(map(hook_of, edits.get("hooks") or ())))
