"""For all tests: how properties are tried, and what the programs that they start find around them."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Nothing here is timed: a machine that does other things as well must not fail a property.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# With it, output that nobody flushes would be seen here and by no user.
os.environ.pop("PYTHONUNBUFFERED", None)
# With it, each of a thousand processes would compile what the first of them could have kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


LONG = ("network", "slow")
"""Marks of the tests that take longest, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: begun last, it would keep one worker busy when all others are done."""
    items.sort(key=lambda item: next((n for n, mark in enumerate(LONG) if item.get_closest_marker(mark)), len(LONG)))
