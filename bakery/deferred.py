"""Modules that are imported when something of them is first used, whoever imports them where."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec


def defer(name: str) -> None:
    """Makes `import NAME` cost nothing from here on, until something of the module is asked for, in the main thread.

    The standard library's `LazyLoader` does not do: under it, a second `import NAME` is the first use already.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    loader, module = spec.loader, module_from_spec(spec)

    def load(attribute: str) -> object:
        del module.__dict__["__getattr__"]
        loader.exec_module(module)
        return getattr(module, attribute)

    module.__dict__["__getattr__"] = load
    sys.modules[name] = module
