"""Compose files to target drafts: read, interpolate, merge as one project, and take what concerns building."""
