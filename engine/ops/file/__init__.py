"""File operations: copy, mkdir, mkfile, rm and symlink, written straight into a new layer without mounting anything.

`operation` is the op, `identity` its cache map, `chain` the order of its actions, `layer_root` the file system they
change, `copier` and `matching` the copying, `content` a file's data, `ownership` and `modes` who may do what with it.
"""

from engine.ops.file.operation import FileOperation

__all__ = ["FileOperation"]
