"""The OCI distribution protocol: names, settings, credentials, and a client that verifies every byte."""
