"""Modes of --chmod."""

from __future__ import annotations

import stat

import pytest

from engine.errors import StepError
from engine.ops.file.modes import KEEP_MODE, octal, symbolic

FILE, FOLDER = stat.S_IFREG, stat.S_IFDIR


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("u=rw,go=r", FILE | 0o755, 0o644),
        ("u+x,g-w,o=", FILE | 0o664, 0o740),
        ("a=rX", FILE | 0o644, 0o444),
        ("a=rX", FILE | 0o744, 0o555),
        ("a=rX", FOLDER | 0o700, 0o555),
        ("go-rwx,u+s", FILE | 0o755, 0o4700),
        ("+x", FILE | 0o644, 0o755),
        ("=", FILE | 0o6755, 0o0),
        ("u=", FILE | 0o755, 0o055),
        ("g=u", FILE | 0o640, 0o660),
        ("go=u", FILE | 0o740, 0o777),
        ("g+o,o-u", FILE | 0o714, 0o750 & ~0o50 | 0o50),
        ("u+r-w", FILE | 0o200, 0o400),
        ("+t", FOLDER | 0o777, 0o1777),
        ("o+t", FOLDER | 0o777, 0o777),
        ("a-X", FILE | 0o755, 0o644),
        ("0644", FILE | 0o777, 0o644),
    ],
)
def test_symbolic_modes(text: str, before: int, after: int) -> None:
    assert symbolic(text).apply(before) == after


@pytest.mark.parametrize("text", ["u", "z+x", "u+x,", "u?x", ",", "u+q", "9"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(StepError, match="invalid mode"):
        symbolic(text)


def test_octal_modes_and_none() -> None:
    assert octal(0o4755).apply(FILE | 0o600) == 0o4755
    assert KEEP_MODE.apply(FILE | 0o2750) == 0o2750
