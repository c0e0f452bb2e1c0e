"""Modules that are imported when something of them is first used, whoever imports them where."""

from __future__ import annotations

import sys
from _thread import RLock
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec, module_from_spec


def defer(name: str, /, *functions: str, **stand_ins: Callable[..., object]) -> None:
    """Makes `import NAME` cost nothing from here on, until something of the module is asked for, in whatever thread.

    The standard library's `LazyLoader` does not do: under it, a second `import NAME` is the first use already.

    Args:
        name: a module. One that is imported already stays as it is.
        functions: what others import of it by name: no use of the module until it is called.
        stand_ins: functions that do the same as the module's own, by name. They are never a use of the module, and
            give way to its own when it is loaded.
    """
    if name in sys.modules:
        return
    package, _, own_name = name.rpartition(".")
    parent = import_module(package) if package else None
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        return
    loader, module = spec.loader, module_from_spec(spec)
    lock, started = RLock(), False

    def load(attribute: str) -> object:
        nonlocal started
        if attribute == "__path__":  # `from NAME import …` asks for it, and a package has it from the start
            raise AttributeError(attribute)
        with lock:
            if not started:
                started = True
                loader.exec_module(module)
                if module.__dict__.get("__getattr__") is load:  # and not one of its own
                    del module.__dict__["__getattr__"]
        try:
            return module.__dict__[attribute]
        except KeyError:
            raise AttributeError(
                f"module {name!r} has no attribute {attribute!r}", name=attribute, obj=module
            ) from None

    module.__dict__.update({function: _late(load, function) for function in functions})
    module.__dict__.update(stand_ins, __getattr__=load)
    sys.modules[name] = module
    if parent is not None:
        setattr(parent, own_name, module)


def _late(load: Callable[[str], object], function: str) -> Callable[..., object]:
    def late(*args: object, **options: object) -> object:
        loaded = load(function)
        assert callable(loaded)
        return loaded(*args, **options)

    return late
