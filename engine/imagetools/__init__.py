"""Images as they lie in registries and layouts: looked at, copied, tagged, compared. Nothing is built or unpacked."""
