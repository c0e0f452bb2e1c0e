"""Archives: layer ↔ tar, compressions, and unpacking what nobody should trust."""
