"""What software is in a file system: found by the records that package managers keep, written as SPDX."""
