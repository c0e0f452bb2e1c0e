"""Checksums of parts of trees, exactly as BuildKit's `cache/contenthash` makes them.

`header` is about one entry, `selection` about what a COPY selects, `errors` about what is not there, `files` remembers
the checksums of this machine's files, `contents` is the door.
"""
