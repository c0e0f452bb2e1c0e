"""Values with slots, made cheaply: frozen ones, which pass the doors between rooms, and records, which a room fills in.

`@frozen` gives a class what `@dataclass(frozen=True, slots=True)` gives it, `@record` what `@dataclass(slots=True)`
does, and `dataclasses.fields`, `replace` and `is_dataclass` work with both. The standard library writes and compiles
up to six functions for each such class (about 0.6 ms); a program of some hundred values would spend a quarter of a
second on that before it begins. Here the functions are shared by all values, and a class's `__init__` is compiled when
it has made a few instances, which most classes never do in one command.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, field
from functools import cache
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")

_UNCOMPILED = 32
"""Instances of a class that are filled field by field: compiling its `__init__` takes as long as filling forty."""


@dataclasses.dataclass
class _Sample:
    """Has a docstring, for without one `dataclass` would write one, and import `inspect` for it."""

    field: int


# What `dataclasses.fields` knows a field by has no public name.
_ORDINARY = dataclasses.fields(_Sample)[0]._field_type  # type: ignore[attr-defined]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Makes a class a frozen value with slots: `__init__`, `__repr__`, `__eq__` and `__hash__` by its annotations.

    Annotations must be texts (`from __future__ import annotations`). `field()` works as in a dataclass, `kw_only` and
    `InitVar` aside. What the class defines itself is kept.

    Raises:
        TypeError: for a field without a default after one that has one.
    """
    fields = _all_fields(cls)
    body: dict[str, Any] = {"__setattr__": _refuse_set, "__delattr__": _refuse_delete}
    if cls.__dict__.get("__hash__") is None:  # Python itself writes None beside a class's own __eq__
        body["__hash__"] = _hash(fields)
    return _made(cls, fields, body)


@dataclass_transform(field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Makes a class with slots that can be set: `__init__`, `__repr__` and `__eq__`, and no hash. See `frozen`."""
    return _made(cls, _all_fields(cls), {} if "__hash__" in cls.__dict__ else {"__hash__": None})


def replace(value: T, /, **changes: Any) -> T:
    """What `dataclasses.replace` gives, in a third of the time, for values and records made here.

    Raises:
        TypeError: for a field that there is not, or that `__init__` does not take.
    """
    kind: Any = value.__class__
    get, places = _form(kind)
    items = list(get(value))
    try:
        for name, item in changes.items():
            items[places[name]] = item
    except KeyError as error:
        raise TypeError(f"{kind.__name__} has no field {error.args[0]} to be replaced") from None
    made: T = kind(*items)
    return made


@cache
def _form(cls: type) -> tuple[Callable[[Any], tuple[Any, ...]], dict[str, int]]:
    names = [name for name, f in _fields(cls).items() if f.init]
    get = attrgetter(*names) if len(names) > 1 else lambda value: tuple(getattr(value, name) for name in names)
    return get, {name: place for place, name in enumerate(names)}


def _made(cls: type[T], fields: dict[str, Field[Any]], more: dict[str, Any]) -> type[T]:
    own = tuple(name for name in cls.__annotations__ if name in fields)
    dropped = {"__dict__", "__weakref__", *own}
    body = {key: item for key, item in cls.__dict__.items() if key not in dropped} | more
    body["__slots__"] = own
    body["__dataclass_fields__"] = fields
    body["__match_args__"] = tuple(name for name, f in fields.items() if f.init)
    for name, function in _shared(fields).items():
        body.setdefault(name, function)
    metaclass: Any = type(cls)
    made: type[T] = metaclass(cls.__name__, cls.__bases__, body)
    made.__qualname__ = cls.__qualname__
    if "__init__" not in cls.__dict__:
        _compile_when_used(made, fields)
    return made


def _all_fields(cls: type) -> dict[str, Field[Any]]:
    """The fields of a class and its bases, the bases' first. Raises TypeError for an order that cannot be."""
    inherited = {name: f for base in reversed(cls.__mro__[1:]) for name, f in _fields(base).items()}
    fields = inherited | _own_fields(cls)
    _check_order(cls.__name__, fields)
    return fields


def _own_fields(cls: type) -> dict[str, Field[Any]]:
    found = {}
    for name, annotation in cls.__annotations__.items():
        if annotation.startswith(("ClassVar", "typing.ClassVar")):
            continue
        default = cls.__dict__.get(name, MISSING)
        made: Field[Any] = default if isinstance(default, Field) else field(default=default)
        made.name, made.type = name, annotation
        made._field_type = _ORDINARY  # type: ignore[attr-defined]
        found[name] = made
    return found


def _fields(cls: type) -> dict[str, Field[Any]]:
    found: dict[str, Field[Any]] = cls.__dict__.get("__dataclass_fields__", {})
    return found


def _has_default(f: Field[Any]) -> bool:
    return f.default is not MISSING or f.default_factory is not MISSING


def _check_order(name: str, fields: dict[str, Field[Any]]) -> None:
    optional = ""
    for f in fields.values():
        if f.init and _has_default(f):
            optional = f.name
        elif f.init and optional:
            raise TypeError(f"{name}: field {f.name} has no default, but follows {optional}, which has one")


def _shared(fields: dict[str, Field[Any]]) -> dict[str, Callable[..., Any]]:
    shown = [name for name, f in fields.items() if f.repr]
    compared = _getter([name for name, f in fields.items() if f.compare])

    def __repr__(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def __eq__(self: Any, other: object) -> bool:
        if self is other:
            return True
        return compared(self) == compared(other) if type(self) is type(other) else NotImplemented

    return {"__repr__": __repr__, "__eq__": __eq__}


def _hash(fields: dict[str, Field[Any]]) -> Callable[[Any], int]:
    hashed = _getter([name for name, f in fields.items() if (f.compare if f.hash is None else f.hash)])

    def __hash__(self: Any) -> int:
        return hash(hashed(self))

    return __hash__


def _getter(names: list[str]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda self: ()


def _refuse_set(self: Any, name: str, new: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: Any, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _compile_when_used(cls: Any, fields: dict[str, Field[Any]]) -> None:
    left = _UNCOMPILED

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0 or not _fill(self, cls, fields, args, kwargs):
            cls.__init__ = _compiled_init(cls, fields)
            cls.__init__(self, *args, **kwargs)

    cls.__init__ = __init__


def _fill(self: Any, cls: type, fields: dict[str, Field[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Sets every field, unless the arguments do not fit, for which the compiled `__init__` has Python's own words."""
    position = named = 0
    for name, f in fields.items():
        if f.init and position < len(args):
            value = args[position]
            position += 1
        elif f.init and name in kwargs:
            value = kwargs[name]
            named += 1
        elif f.default is not MISSING:
            value = f.default
        elif f.default_factory is not MISSING:
            value = f.default_factory()
        elif f.init:
            return False
        else:
            continue
        getattr(cls, name).__set__(self, value)
    if position < len(args) or named < len(kwargs):
        return False
    if hasattr(cls, "__post_init__"):
        self.__post_init__()
    return True


def _compiled_init(cls: type, fields: dict[str, Field[Any]]) -> Callable[..., None]:
    """An `__init__` that fills each slot by its descriptor, which asks nobody whether the value is frozen."""
    scope: dict[str, Any] = {"_absent": MISSING}
    parameters, lines = ["self"], []
    for name, f in fields.items():
        scope[f"_set_{name}"] = getattr(cls, name).__set__
        given = name
        if f.default_factory is not MISSING:
            scope[f"_make_{name}"] = f.default_factory
            given = f"_make_{name}() if {name} is _absent else {name}" if f.init else f"_make_{name}()"
        elif f.default is not MISSING:
            scope[f"_default_{name}"] = f.default
            given = name if f.init else f"_default_{name}"
        elif not f.init:
            continue
        if f.init:
            default = "_absent" if f.default_factory is not MISSING else f"_default_{name}"
            parameters.append(f"{name}={default}" if _has_default(f) else name)
        lines.append(f" _set_{name}(self, {given})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n" + ("\n".join(lines) or " pass"), scope)
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init
