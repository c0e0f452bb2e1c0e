"""Texts as the bytes that functions of encodings, hashes and addresses work on."""

from __future__ import annotations


def encoded(text: str) -> bytes:
    """The UTF-8 bytes of a text."""
    return text.encode("utf-8", "surrogatepass")
