"""Which types convert to which, and the one type that several can become."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bakery.config.types import (
    ANY,
    STRING,
    ListType,
    MapType,
    ObjectType,
    Primitive,
    SetType,
    TupleType,
    Type,
)


def is_convertible(given: Type, wanted: Type) -> bool:
    """Whether values of the given type may become the wanted one, depending on the value at hand."""
    return given == ANY or _is_convertible(given, wanted, is_convertible, unify)


def is_safely_convertible(given: Type, wanted: Type) -> bool:
    """Whether all values of the given type can become the wanted one, and lose nothing."""
    if isinstance(given, ListType) and isinstance(wanted, SetType):
        return False
    if isinstance(given, MapType) and isinstance(wanted, ObjectType):
        return False
    if isinstance(given, Primitive) and isinstance(wanted, Primitive):
        return wanted in (ANY, given) or (wanted == STRING and given != ANY)
    return _is_convertible(given, wanted, is_safely_convertible, unify_safely)


Convertible = Callable[[Type, Type], bool]
Unify = Callable[[Sequence[Type]], Type | None]


def _is_convertible(given: Type, wanted: Type, convertible: Convertible, unify: Unify) -> bool:
    """The rules that both kinds of conversion share, with their kind for what is inside."""
    if wanted == ANY or given == wanted:
        return True
    match given, wanted:
        case Primitive(), Primitive():
            return STRING in (given, wanted)
        case ObjectType(inner), ObjectType(outer):
            return all(
                convertible(inner[name], type) if name in inner else name in wanted.optional
                for name, type in outer.items()
            )
        case TupleType(inners), TupleType(outers):
            return len(inners) == len(outers) and all(map(convertible, inners, outers))
        case ((ListType(inner) | SetType(inner)), (ListType(outer) | SetType(outer))):
            return convertible(inner, outer)
        case MapType(inner), MapType(outer):
            return convertible(inner, outer)
        case TupleType(inners), (ListType(outer) | SetType(outer)):
            return _all_convertible(inners, outer, convertible, unify)
        case ObjectType(attributes), MapType(outer):
            return _all_convertible(tuple(attributes.values()), outer, convertible, unify)
        case MapType(inner), ObjectType(attributes):
            return all(convertible(inner, type) or name in wanted.optional for name, type in attributes.items())
        case _:
            return False


def _all_convertible(given: Sequence[Type], wanted: Type, convertible: Convertible, unify: Unify) -> bool:
    if not given:
        return True
    if wanted == ANY:
        common = unify(given)
        if common is None or (common == ANY and any(type != ANY for type in given)):
            return False
        wanted = common
    return all(convertible(type, wanted) for type in given)


def unify(types: Sequence[Type]) -> Type | None:
    """The type that values of all these types may become; None if there is none."""
    return _unify(types, is_convertible)


def unify_safely(types: Sequence[Type]) -> Type | None:
    """The type that all values of all these types can become; None if there is none."""
    return _unify(types, is_safely_convertible)


def _unify(types: Sequence[Type], convertible: Convertible) -> Type | None:
    if not types:
        return None
    first = types[0]
    if all(type == first for type in types):
        return first
    kinds = {type.__class__ if type != ANY else None for type in types}
    has_any = None in kinds
    kinds.discard(None)
    structural: Type | None = None
    if len(kinds) == 1 and (kind := kinds.pop()) is not Primitive:
        return ANY if has_any else _unify_kind(kind, types, convertible)
    if kinds == {MapType, ObjectType}:
        structural = _unify_mixed(types, ObjectType, _common_map, convertible)
    elif kinds == {ListType, TupleType}:
        structural = _unify_mixed(types, TupleType, _common_list, convertible)
    elif {ObjectType, TupleType} <= kinds:
        return None
    return structural or _most_general(types, convertible)


def _unify_kind(kind: type | None, types: Sequence[Type], convertible: Convertible) -> Type | None:
    """Unify types that are all of one kind, and not primitive."""
    if kind is ObjectType:
        return _unify_objects([type for type in types if isinstance(type, ObjectType)], convertible)
    if kind is TupleType:
        return _unify_tuples([type for type in types if isinstance(type, TupleType)], convertible)
    elements = [type.element for type in types if isinstance(type, ListType | SetType | MapType)]
    element = _unify(elements, convertible)
    if element is None:
        return None
    if kind is ListType:
        return ListType(element)
    return SetType(element) if kind is SetType else MapType(element)


def _unify_objects(types: Sequence[ObjectType], convertible: Convertible) -> Type | None:
    names = types[0].attributes.keys()
    if any(type.attributes.keys() != names for type in types):
        return _common_map(types, convertible)
    unified = {}
    for name in names:
        attribute = _unify([type.attributes[name] for type in types], convertible)
        if attribute is None:
            return None
        unified[name] = attribute
    wanted = ObjectType(unified)
    return wanted if all(convertible(type, wanted) for type in types) else _common_map(types, convertible)


def _unify_tuples(types: Sequence[TupleType], convertible: Convertible) -> Type | None:
    if len({len(type.elements) for type in types}) > 1:
        return _common_list(types, convertible)
    unified = []
    for elements in zip(*(type.elements for type in types), strict=True):
        element = _unify(elements, convertible)
        if element is None:
            return None
        unified.append(element)
    wanted = TupleType(tuple(unified))
    return wanted if all(convertible(type, wanted) for type in types) else _common_list(types, convertible)


def _common_map(types: Sequence[Type], convertible: Convertible) -> Type | None:
    attributes = [inner for type in types if isinstance(type, ObjectType) for inner in type.attributes.values()]
    element = _unify(attributes, convertible)
    if element is None:
        return None
    wanted = MapType(element)
    return wanted if all(convertible(type, wanted) for type in types) else None


def _common_list(types: Sequence[Type], convertible: Convertible) -> Type | None:
    element = _unify([inner for type in types if isinstance(type, TupleType) for inner in type.elements], convertible)
    if element is None:
        return None
    wanted = ListType(element)
    return wanted if all(convertible(type, wanted) for type in types) else None


def _unify_mixed(
    types: Sequence[Type],
    structure: type,
    common: Callable[[Sequence[Type], Convertible], Type | None],
    convertible: Convertible,
) -> Type | None:
    """Unify collections with structures of the like kind: the structures become collections first."""
    collection = common([type for type in types if isinstance(type, structure)], convertible)
    if collection is None:
        return None
    return _unify([collection if isinstance(type, structure) else type for type in types], convertible)


def _most_general(types: Sequence[Type], convertible: Convertible) -> Type | None:
    """The first of the types, by generality, that all others convert to."""
    for wanted in sorted(types, key=_specificity):
        if all(convertible(type, wanted) for type in types):
            return wanted
    return None


def _specificity(type: Type) -> int:
    if type == STRING:
        return 0
    if isinstance(type, SetType):
        return 2
    return 3 if type == ANY else 1
