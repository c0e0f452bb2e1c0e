"""Services that keep objects by name, where caches may lie: S3 and those like it, and the cache of GitHub Actions."""
