"""The file of `--metadata-file`: for each target what its exporters said, in buildx's form."""

from __future__ import annotations

import binascii
import json
import os
import signal
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakery.diagnostics import BakeryError
from engine.errors import ExitError, StepError
from engine.events import Warned
from engine.request import BuildResult, TargetResult

_ALWAYS = ("bakery.seconds", "bakery.steps", "bakery.hits")
_OBJECTS = ("containerimage.descriptor", "buildx.build.provenance")


def write_metadata(path: Path, result: BuildResult, warnings: Sequence[Warned] = (), build: str = "") -> None:
    """Writes the file whole or not at all, `warnings` among the rest; `build` is the ID of the build.

    Raises BakeryError if it cannot be written.
    """
    import tempfile

    text = json.dumps(metadata(result, build) | _warnings(warnings), indent=2) + "\n"
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
    except OSError as error:
        reason = (error.strerror or "cannot be written").lower()
        raise BakeryError.of(f"--metadata-file: {path}: {reason}") from None


def metadata(result: BuildResult, build: str = "") -> dict[str, dict[str, Any]]:
    """Target to response keys; descriptors and provenance as objects, not as the encoded text they travel in."""
    return {name: _ending(target, build) | _values(target.metadata) for name, target in result.targets.items()}


def _ending(target: TargetResult, build: str) -> dict[str, Any]:
    """How a target ended, under names that are no peer's: seconds, steps, how many of them were known, bytes."""
    found = {
        "bakery.outcome": target.outcome.value,
        "bakery.error": str(target.error) if target.error else "",
        "bakery.build": build,
        "bakery.seconds": round(target.seconds, 3),
        "bakery.steps": target.steps,
        "bakery.hits": target.hits,
        "bakery.size": target.size,
        **_failed_step(target.error),
    }
    return {key: value for key, value in found.items() if value or key in _ALWAYS}


def _failed_step(error: Exception | None) -> dict[str, Any]:
    """How the step ended that a target failed with: its exit code, the signal that 128 + N stands for, the full log."""
    if not isinstance(error, StepError):
        return {}
    code = error.exit_code if isinstance(error, ExitError) else 0
    names = {item.value: item.name for item in signal.Signals}
    log = str(error.log_path) if error.log_path else ""
    return {"bakery.exitCode": code, "bakery.signal": names.get(code - 128, ""), "bakery.log": log}


def _warnings(warnings: Sequence[Warned]) -> dict[str, Any]:
    if not warnings:
        return {}
    from bakery.console.rawjson import warning_record

    return {"buildx.build.warnings": [warning_record(warning) for warning in warnings]}


def _values(found: Mapping[str, str]) -> dict[str, Any]:
    return {key: _object(value) if key.startswith(_OBJECTS) else value for key, value in sorted(found.items())}


def _object(value: str) -> Any:
    """BuildKit sends objects as base64 of JSON; plain JSON does as well, and what is neither stays a text."""
    try:
        return json.loads(value if value.startswith("{") else b64decode(value, validate=True))
    except (ValueError, binascii.Error):
        return value


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
