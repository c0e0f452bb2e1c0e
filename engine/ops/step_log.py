"""What a step says: shown as it comes, kept whole in a file, its end at hand for an error. Secrets are masked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from engine.events import Stream
from engine.ops.context import StepContext
from engine.sandbox.mask import Mask

_TAIL = 16 << 10
"""Bytes of a log that an error keeps."""


class StepLog:
    """The log of one step, while the `with` block lasts. The file is made when there is something to write."""

    def __init__(self, context: StepContext, secrets: Sequence[bytes]) -> None:
        self._context = context
        self._masks = {stream: Mask(secrets) for stream in Stream}
        self._file: BinaryIO | None = None
        self._tail = bytearray()

    def __enter__(self) -> StepLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()
        if self._file is not None:
            self._file.close()

    def finish(self) -> None:
        """Nothing more will come: what might have been the beginning of a secret is none."""
        for stream, mask in self._masks.items():
            self._keep(stream, mask.finish())

    def write(self, stream: Stream, data: bytes) -> None:
        """Takes what the step writes."""
        self._keep(stream, self._masks[stream].feed(data))

    @property
    def tail(self) -> bytes:
        """The end of it, whole lines if it is long."""
        if len(self._tail) < _TAIL:
            return bytes(self._tail)
        return bytes(self._tail).partition(b"\n")[2]

    @property
    def path(self) -> Path | None:
        """The file, None if there is none."""
        return self._context.log_path if self._file is not None else None

    def _keep(self, stream: Stream, data: bytes) -> None:
        if not data:
            return
        self._context.log(stream, data)
        self._tail += data
        del self._tail[:-_TAIL]
        if self._context.log_path is None:
            return
        if self._file is None:
            self._context.log_path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._context.log_path.open("wb")
        self._file.write(data)
