"""Secrets in logs: whatever pieces they come in, and however they overlap, nothing of them is shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sandbox.mask import MASK, Mask


def masked(secrets: Sequence[bytes], *pieces: bytes) -> bytes:
    mask = Mask(secrets)
    return b"".join(mask.feed(piece) for piece in pieces) + mask.finish()


@pytest.mark.parametrize(
    ("secrets", "pieces", "shown"),
    [
        ([b"horse battery"], [b"a horse", b" bat", b"tery."], b"a ***."),
        ([b"horse battery"], [b"a horse", b" bath."], b"a horse bath."),
        ([b"horse battery\n"], [b"horse battery\rhorse battery\r\n"], b"***\r***\r\n"),
        ([b"abcd", b"abcdefgh"], [b"abcd", b"efgh"], b"***"),
        ([b"abcd", b"abcdefgh"], [b"abcd", b"ef"], b"***ef"),
        ([b"abcdef", b"defghi"], [b"abcdefghi!"], b"***!"),
        ([b"abcdef", b"defghi"], [b"abcdef", b"ghi!"], b"***!"),
        ([b"abcdef", b"defghi"], [b"abcdef", b"gh!"], b"***gh!"),
        ([b"abcd"], [b"abcdabcd"], b"******"),
        ([b"abc"], [b"abc"], b"abc"),
        ([b"-----BEGIN\nfirst line\nsecond line\n"], [b"x first line\r\n", b"second", b" line"], b"x ***\r\n***"),
        ([], [b"any", b"thing"], b"anything"),
    ],
)
def test_what_is_shown(secrets: list[bytes], pieces: list[bytes], shown: bytes) -> None:
    assert masked(secrets, *pieces) == shown


letters = st.text("ab", min_size=4, max_size=7).map(str.encode)


@given(st.lists(letters, min_size=1, max_size=3), st.text("abc", max_size=30).map(str.encode), st.data())
def test_each_byte_of_a_value_is_replaced_and_no_other(secrets: list[bytes], text: bytes, data: st.DataObject) -> None:
    hidden = set[int]()
    for value in secrets:
        for at in range(len(text)):
            if text.startswith(value, at):
                hidden |= set(range(at, at + len(value)))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    shown = masked(secrets, *pieces)
    assert shown.replace(MASK, b"") == bytes(byte for at, byte in enumerate(text) if at not in hidden)
    assert shown == masked(secrets, text)
