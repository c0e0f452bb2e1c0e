"""Values, as in the engine: here, so that the configuration's rooms have them without knowing the engine."""

from engine.values import frozen, record, replace

__all__ = ["frozen", "record", "replace"]
