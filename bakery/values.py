"""Frozen values, as in the engine: here, so that the configuration's rooms have them without knowing the engine."""

from engine.values import frozen

__all__ = ["frozen"]
