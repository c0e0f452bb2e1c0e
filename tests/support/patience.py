"""How long tests wait for what should take a moment."""

PATIENCE = 300.0
"""Seconds after which a test gives up. Only a hang takes so long, also on a machine that has much else to do."""
