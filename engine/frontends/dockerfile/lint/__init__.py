"""Checks of Dockerfiles: the peer's rules under the peer's names and words, and a few of our own."""
