"""Statements about images: how they were built (SLSA provenance) and what is in them (SPDX)."""
