import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.console.text import binary_size, log_time, printable, rfc3339, size


@given(st.binary(max_size=200))
def test_no_byte_of_a_log_reaches_the_terminal_as_a_control(data: bytes) -> None:
    text = printable(data.replace(b"\n", b""))
    assert all(char.isprintable() or char == "\t" or not char.isascii() for char in text)
    assert "\x9b" not in text
    assert "\x1b" not in text


@given(st.lists(st.sampled_from([b"\x1b[", b"\x1b", b"31m", b"2J", b"\x1b]0;", b"\x07", b"a", b"\x9b", b"\x1b[0m"])))
def test_with_colours_only_colour_sequences_stay(parts: list[bytes]) -> None:
    rest = printable(b"".join(parts), colours=True).split("\x1b")[1:]
    assert all(piece.startswith("[") and piece.lstrip("[0123456789;:").startswith("m") for piece in rest)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"plain", "plain"),
        ("né 字".encode(), "né 字"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"10%\r20%\r", "20%"),
        (b"\x1b]0;title\x07text", "text"),
        (b"\x1b[2J\x1b[1;1Hgone", "gone"),
        (b"a\x08b\x00c", "abc"),
        ("admin\u202e// nimda".encode(), "admin// nimda"),
        (b"a\tb", "a\tb"),
    ],
)
def test_a_line_is_shown_as_text(data: bytes, shown: str) -> None:
    assert printable(data) == shown


def test_sizes_and_times_are_written_as_buildkit_does() -> None:
    assert [size(n) for n in (0, 999, 1000, 1234, 999_999, 31_420_000, 5 * 10**9)] == [
        "0B", "999B", "1.00kB", "1.23kB", "1.00MB", "31.42MB", "5.00GB",
    ]  # fmt: skip
    assert [binary_size(n) for n in (200 * 1024, 2 * 1024**2, 1536)] == ["200KiB", "2MiB", "1.5KiB"]
    assert [log_time(t) for t in (0.1234, 12.345, 123.456)] == ["0.123", "12.35", "123.5"]
    assert [rfc3339(t) for t in (0, 1.5, 1_700_000_000.123456)] == [
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:01.5Z",
        "2023-11-14T22:13:20.123456Z",
    ]
