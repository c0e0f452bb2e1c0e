"""For all tests: how properties are tried."""

from hypothesis import HealthCheck, settings

# Nothing here is timed: a machine that does other things as well must not fail a property.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
