"""For all tests: how properties are tried, and what the programs that they start find around them."""

import os

from hypothesis import HealthCheck, settings

# Nothing here is timed: a machine that does other things as well must not fail a property.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# With it, output that nobody flushes would be seen here and by no user.
os.environ.pop("PYTHONUNBUFFERED", None)
# With it, each of a thousand processes would compile what the first of them could have kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
