"""The blocks of a definition to target drafts and groups.

Attributes are evaluated one by one and once, when asked for: so targets may refer to each other in any order, and only
attributes that really need each other make a cycle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bakery.config.attributes import ATTRIBUTES, OWN_ATTRIBUTES
from bakery.config.decode import absent_value, check_portable, fit, plain, reference_value, unsuitable
from bakery.config.definition import Definition, Problems, missing
from bakery.config.edits import NAMES, Edit
from bakery.config.hcl.evaluate import evaluate
from bakery.config.hcl.scope import ChildScope, Scope
from bakery.config.hcl.syntax import AttributeStep
from bakery.config.matrix import Expanded, expand
from bakery.config.resolved import ResolvedValues
from bakery.config.target import Group
from bakery.config.types import STRING, ListType
from bakery.config.values import UNKNOWN_VALUE, Value, list_of, object_of, string, wholly_known
from bakery.diagnostics import BakeryError, Span, did_you_mean
from bakery.values import frozen

if TYPE_CHECKING:
    from bakery.config.draft import TargetDraft
    from bakery.config.functions.function import Function
    from bakery.config.globals import Globals
    from bakery.config.hcl.syntax import Attribute, Block, ScopeTraversal

_NAMES = ListType(STRING)


class Blocks:
    """The targets and groups of a definition, and the scope in which their attributes are evaluated."""

    def __init__(self, definition: Definition, scope: Globals, compose: Mapping[str, TargetDraft]) -> None:
        self.definition = definition
        self.globals = scope
        self.expanded: dict[str, list[Expanded]] = {}
        self._made_groups: dict[str, list[str]] = {}
        self._values: dict[tuple[int, str], Value | None] = {}
        self._path: dict[tuple[str, str], Attribute] = {}
        self._any_value = False
        self.resolved = ResolvedValues(self, compose)

    def expand_all(self) -> None:
        """Work out names and matrices of all targets. Raises BakeryError with all that is wrong."""
        problems = Problems()
        made: dict[str, list[str]] = {}
        for source in self.definition.targets:
            expanded = problems.attempt(lambda source=source: expand(source, self.globals)) or []  # type: ignore[misc]
            for target in expanded:
                self.expanded.setdefault(target.name, []).append(target)
            names = made.setdefault(source.label, [])
            names.extend(target.name for target in expanded if target.name not in names)
        self._made_groups = {label: names for label, names in made.items() if names and names != [label]}
        problems.stop_if_any()

    def groups(self, problems: Problems) -> dict[str, Group]:
        """All groups of the files, and those that matrices make; what is wrong goes to `problems`."""
        found: dict[str, Group] = {}
        for name, block in self.definition.groups.items():
            group = problems.attempt(lambda name=name, block=block: self._group(name, block))  # type: ignore[misc]
            if group is not None:
                found[name] = group
        for name, targets in self._made_groups.items():
            if name not in found:
                found[name] = Group(name, tuple(targets))
        return found

    def _group(self, name: str, block: Block) -> Group:
        attributes = block.body.attributes
        for extra in ("matrix", "name"):
            if extra in attributes:
                raise BakeryError.of("Invalid name", f"{extra} is not supported for groups", block.label_spans[0])
        if "targets" not in attributes:
            raise BakeryError(missing("targets", block))
        targets = self._group_targets(name, attributes["targets"])
        description = ""
        if "description" in attributes:
            expr = attributes["description"].expr
            described = fit(ATTRIBUTES["description"], self._evaluated(attributes["description"], {}), expr)
            description = described.raw if wholly_known(described) else ""
        names = tuple(member.raw for member in targets.raw) if wholly_known(targets) else ()
        members = dict.fromkeys(text for text in names if text)
        return Group(name, tuple(members), description, block.label_spans[0])

    def _group_targets(self, name: str, attribute: Attribute) -> Value:
        key = ("group " + name, "targets")
        known = self._values.get((id(attribute), "targets"))
        if known is not None:
            return known
        with_cycle = self._entered(key, attribute, f"group.{name}.targets")
        try:
            targets = _names(self._evaluated(attribute, {}), attribute)
        except BakeryError:
            self._values[id(attribute), "targets"] = UNKNOWN_VALUE
            raise
        finally:
            del self._path[with_cycle]
        self._values[id(attribute), "targets"] = targets
        return targets

    # --- attributes of one target ---

    def draft_values(self, target: Expanded, problems: Problems) -> dict[str, Any]:
        """What one block sets, as a draft holds it; what is wrong goes to `problems`."""
        found: dict[str, Any] = {}
        own = target.source.origin.dialect.own
        for name, attribute in target.source.block.body.attributes.items():
            known = ATTRIBUTES.get(name)
            if known is None or (name in OWN_ATTRIBUTES and not own):
                continue
            try:
                value = self.value(target, name)
                if value is not None and value.raw is not None and wholly_known(value):
                    found[name] = plain(known, value, attribute.expr)
                    if not target.source.origin.dialect.own:
                        check_portable(known, found[name], attribute.expr)
            except BakeryError as error:
                problems.found.extend(error.diagnostics)
        return found

    def edits(self, target: Expanded) -> list[Edit]:
        """What a block of an own file appends to or removes from what it inherits. Raises BakeryError."""
        if not target.source.origin.dialect.own:
            return []
        found: list[Edit] = []
        for name, attribute in target.source.block.body.attributes.items():
            if name not in NAMES:
                continue
            verb, of = NAMES[name]
            kind = ATTRIBUTES[of] if verb == "append" else ATTRIBUTES["ulimits"]
            value = fit(kind, self._evaluated(attribute, target.axes, target), attribute.expr)
            if value.raw is not None and wholly_known(value):
                found.append(Edit(ATTRIBUTES[of], verb, tuple(plain(kind, value, attribute.expr))))
        return found

    def inherits(self, target: Expanded) -> list[str]:
        """The parents a block names. Raises BakeryError."""
        attribute = target.source.block.body.attributes.get("inherits")
        if attribute is None:
            return []
        value = self._evaluated(attribute, target.axes, target)
        if value.is_null:
            return []
        names = _names(value, attribute)
        return [member.raw for member in names.raw if member.raw] if wholly_known(names) else []

    def value(self, target: Expanded, name: str) -> Value | None:
        """The value of an attribute of a block in its declared type; None where it is not set. Raises BakeryError."""
        attribute = target.source.block.body.attributes.get(name)
        if attribute is None:
            return None
        slot = (id(target), name)
        if slot in self._values:
            return self._values[slot]
        key = self._entered((target.name, name), attribute, f"target.{target.name}.{name}")
        try:
            value = self._evaluated(attribute, target.axes, target)
            fitted = fit(ATTRIBUTES[name], value, attribute.expr) if wholly_known(value) else UNKNOWN_VALUE
        except BakeryError:
            # Reported by whoever asked first; others see an unknown.
            self._values[slot] = UNKNOWN_VALUE
            raise
        finally:
            del self._path[key]
        self._values[slot] = fitted
        self._any_value = True
        return fitted

    def _entered(self, key: tuple[str, str], attribute: Attribute, shown: str) -> tuple[str, str]:
        if key in self._path:
            asking = list(self._path.values())[-1]
            raise BakeryError.of("Invalid expression", f"reference cycle not allowed for {shown}", asking.expr.span)
        self._path[key] = attribute
        return key

    def _evaluated(self, attribute: Attribute, axes: Mapping[str, Value], target: Expanded | None = None) -> Value:
        scope: Scope = TargetScope(self, target)
        if axes:
            scope = ChildScope(scope, axes)
        return evaluate(attribute.expr, scope)

    # --- references ---

    def target_reference(self, reference: ScopeTraversal) -> Value:
        """`target.NAME.ATTR`: what the last block of that name sets itself."""
        name = self._named(reference, self.expanded, self._any_value)
        target = self.expanded[name][-1]
        wanted = _second_step(reference)
        names = [wanted] if wanted is not None else ["name", "inherits", *ATTRIBUTES]
        members = {
            attr: self._raw(target, attr) for attr in names if attr in ATTRIBUTES or attr in ("name", "inherits")
        }
        return object_of({name: object_of(members)})

    def _raw(self, target: Expanded, name: str) -> Value:
        if name == "name":
            return string(target.name)
        if name == "inherits":
            return list_of(STRING, map(string, self.inherits(target)))
        known = ATTRIBUTES[name]
        value = self.value(target, name)
        if value is None or value.is_null:
            return absent_value(known)
        return reference_value(known, value, target.source.block.body.attributes[name].expr)

    def resolved_reference(self, reference: ScopeTraversal) -> Value:
        """`resolved.target.NAME.ATTR`: the attribute with all that the target inherits."""
        names = [step.name if isinstance(step, AttributeStep) else "" for step in reference.steps[:3]]
        if len(names) < 3 or names[0] != "target" or names[2] not in ATTRIBUTES:
            raise BakeryError.of("Invalid expression", "resolved.target.NAME.ATTRIBUTE is required", reference.span)
        if names[1] not in self.resolved.names():
            raise _missing_element(names[1], self.resolved.names(), reference.steps[1].span)
        return object_of({"target": object_of({names[1]: object_of({names[2]: self.resolved.value(*names[1:])})})})

    def group_reference(self, reference: ScopeTraversal) -> Value:
        """`group.NAME.targets`: what the group lists itself."""
        known = {**dict.fromkeys(self._made_groups), **dict.fromkeys(self.definition.groups)}
        name = self._named(reference, known, False)
        block = self.definition.groups.get(name)
        if block is None:
            targets = list_of(STRING, map(string, self._made_groups[name]))
        elif "targets" in block.body.attributes:
            targets = self._group_targets(name, block.body.attributes["targets"])
        else:
            targets = list_of(STRING, ())
        return object_of({name: object_of({"name": string(name), "targets": targets})})

    def _named(self, reference: ScopeTraversal, known: Iterable[str], is_object: bool) -> str:
        kind = reference.name
        first = reference.steps[0] if reference.steps else None
        if not isinstance(first, AttributeStep):
            how = (
                f"cannot traverse {kind} without attribute"
                if reference.steps
                else f"cannot access {kind} as a variable"
            )
            asking = list(self._path.values())
            place = asking[-1].expr.span if asking else reference.span
            raise BakeryError.of("Invalid expression", how, place, hint=f"write {kind}.NAME.ATTRIBUTE")
        names = list(known)
        if first.name not in names:
            raise _missing_element(first.name, names, first.span, is_object)
        return first.name


@frozen
class TargetScope:
    """The scope of one target or group: the globals, and `target` and `group`. Implements the evaluator's Scope."""

    blocks: Blocks
    current: Expanded | None = None

    @property
    def own(self) -> bool:
        """Whether the block stands in one of bakery's own files, which know more names."""
        return self.current is not None and self.current.source.origin.dialect.own

    def variable(self, reference: ScopeTraversal) -> Value:
        """`target.…` and `group.…` worked out as far as the reference needs; else a global."""
        match reference.name:
            case "target":
                return self.blocks.target_reference(reference)
            case "group":
                return self.blocks.group_reference(reference)
            case "resolved" if self.own:
                return self.blocks.resolved_reference(reference)
            case "self" if self.current is not None and self.own:
                return object_of({"name": string(self.current.name), "matrix": object_of(self.current.axes)})
        return self.blocks.globals.variable(reference)

    def function(self, name: str) -> Function | None:
        """The globals' function of that name."""
        return self.blocks.globals.function(name)

    def function_names(self) -> Iterable[str]:
        """All names of functions."""
        return self.blocks.globals.function_names()


def _missing_element(name: str, known: Iterable[str], span: Span, is_object: bool = False) -> BakeryError:
    """What the peer says: to it `target` is an empty map until the first attribute of one is known, then an object."""
    near = did_you_mean(name, known)
    hint = f' Did you mean "{near}"?' if near else ""
    if is_object:
        detail = f'This object does not have an attribute named "{name}".'
        return BakeryError.of("Unsupported attribute", detail + hint, span)
    detail = f'This map does not have an element with the key "{name}".'
    return BakeryError.of("Missing map element", detail + hint, span)


def _second_step(reference: ScopeTraversal) -> str | None:
    second = reference.steps[1] if len(reference.steps) > 1 else None
    return second.name if isinstance(second, AttributeStep) else None


def _names(value: Value, attribute: Attribute) -> Value:
    """A value as a list of names."""
    if not wholly_known(value):
        return UNKNOWN_VALUE
    listed = fit(ATTRIBUTES["tags"], value, attribute.expr)
    if listed.is_null:
        raise unsuitable("list of string required, but have null", attribute.expr)
    for index, member in enumerate(listed.raw):
        if member.is_null:
            raise unsuitable(f"element {index}: string required, but have null", attribute.expr)
    return listed
