"""The version of this package, as in pyproject.toml. Reading it from the installed metadata costs 20 ms."""

VERSION = "0.1.0"
