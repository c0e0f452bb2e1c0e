"""`--set PATTERN.KEY[.SUB][+]=VALUE`: what the command line changes about targets.

Every override changes a fresh draft only, never lists or entries that a parent and its children share.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bakery.config.attributes import ATTRIBUTES, RESOURCE_NUMBERS, RESOURCE_TEXTS, Kind, Merge
from bakery.config.decode import tidy_entries
from bakery.config.draft import TargetDraft, distinct, keyed
from bakery.config.entries import PARSERS, parse_secret
from bakery.config.inherit import Override
from bakery.config.target import OutputEntry
from bakery.config.textforms import parse_bool, path_match
from bakery.diagnostics import BakeryError, did_you_mean

_TEXTS = frozenset({"context", "dockerfile", "target", "call", "shm-size", "network"})
_BOOLS = frozenset({"pull", "no-cache"})
_MAPS = frozenset({"args", "labels", "contexts", "extra-hosts"})
_LISTS = {
    "tags": "tags",
    "platform": "platforms",
    "no-cache-filter": "no-cache-filter",
    "ulimits": "ulimits",
    "annotations": "annotations",
    "entitlements": "entitlements",
    "cache-from": "cache-from",
    "cache-to": "cache-to",
    "output": "output",
    "secrets": "secret",
    "ssh": "ssh",
    "attest": "attest",
    "policy": "policy",
}
"""List keys and the attributes they change: two have a name of their own here."""

_ALWAYS_APPEND = frozenset({"annotations", "attest", "entitlements"})
KEYS = frozenset({*_TEXTS, *_BOOLS, *_MAPS, *_LISTS, "push", "load", "secret", "resources"})


class Setting:
    """All that was said about one key of a target: the value, or for lists all of them, and whether to append."""

    def __init__(self, key: str, sub: str, text: str) -> None:
        self.key = key
        self.sub = sub
        self.text = text
        self.values: list[str] = []
        self.append = False

    def __call__(self, draft: TargetDraft) -> None:
        """Change a draft. Raises BakeryError for a value that the key cannot take."""
        try:
            self._apply(draft)
        except ValueError as error:
            if self.key in _BOOLS or self.key in ("push", "load"):
                raise BakeryError.of(f"invalid value {self.text} for boolean key {self.key}") from None
            if self.key in ("output", "secrets", "ssh"):
                raise BakeryError.of(f"invalid value for outputs: {error}", f"in --set {self._full_key}") from None
            if self.key == "attest":
                raise BakeryError.of(f"invalid value for attest: {error}") from None
            raise BakeryError.of(str(error), f"in --set {self._full_key}") from None

    @property
    def _full_key(self) -> str:
        return f"{self.key}.{self.sub}" if self.sub else self.key

    def _apply(self, draft: TargetDraft) -> None:
        key, values = self.key, draft.values
        if key not in KEYS:
            near = did_you_mean(key, KEYS)
            raise BakeryError.of(f"unknown key: {key}", hint=f'did you mean "{near}"?' if near else "")
        if key in _MAPS and not self.sub:
            what = "<hostname>=<ip>" if key == "extra-hosts" else "<name>=<value>"
            raise BakeryError.of(f"invalid format for {key}, expecting {key}.{what}")
        if key in _TEXTS:
            values[key] = self.text
        elif key in _BOOLS:
            values[key] = parse_bool(self.text)
        elif key in _MAPS:
            values[key] = {**values.get(key, {}), self.sub: self.text}
        elif key in _LISTS:
            self._apply_list(draft, _LISTS[key])
        elif key == "resources":
            values[key] = {**values.get(key, {}), self.sub: _resource(self.sub, self.text)}
        elif key == "secret":
            _repoint_secret(draft, self.sub, self.text)
        elif key == "push":
            set_push(draft, parse_bool(self.text))
        elif key == "load" and parse_bool(self.text):
            set_load(draft)

    def _apply_list(self, draft: TargetDraft, name: str) -> None:
        attribute = ATTRIBUTES[name]
        added: list[Any] = [text for text in self.values if text]
        if attribute.kind is Kind.ENTRIES:
            added = [entry for text in added for entry in PARSERS[name](text)]
        kept = draft.values.get(name, []) if self.append or self.key in _ALWAYS_APPEND else []
        combined = [*kept, *added]
        if attribute.merge is Merge.KEYED:
            combined = keyed(combined, attribute.key)
        elif attribute.kind is Kind.ENTRIES:
            combined = tidy_entries(attribute, combined)
        else:
            combined = distinct(combined)
        draft.values[name] = combined


def _resource(key: str, text: str) -> str | int:
    if key in RESOURCE_TEXTS:
        return text
    if key not in RESOURCE_NUMBERS:
        near = did_you_mean(key, (*RESOURCE_TEXTS, *RESOURCE_NUMBERS))
        raise BakeryError.of(f"unknown resources key {key}", hint=f'did you mean "{near}"?' if near else "")
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise BakeryError.of(f"invalid value {text} for int64 key resources.{key}")
    return int(text)


def _repoint_secret(draft: TargetDraft, name: str, text: str) -> None:
    declared = draft.values.get("secret", [])
    if not any(entry.id == name for entry in declared):
        raise BakeryError.of(f'secret "{name}" must be declared before it can be overridden')
    for entry in parse_secret(text):
        if entry.id not in ("", name):
            raise BakeryError.of(f'secret override id "{entry.id}" does not match declared secret "{name}"')
    pointed = [replace(entry, id=name) for entry in parse_secret(text)]
    draft.values["secret"] = [pointed[-1] if entry.id == name else entry for entry in declared]


def set_push(draft: TargetDraft, push: bool) -> None:
    """`push=true` pushes image outputs, and makes one where nothing but `docker` is; `push=false` takes it away."""
    outputs: list[OutputEntry] = draft.values.get("output", [])
    if not push:
        kept = [entry for entry in outputs if entry.type != "registry"]
        draft.values["output"] = [
            replace(entry, attrs={**entry.attrs, "push": "false"}) if entry.type == "image" else entry for entry in kept
        ]
        return
    changed = [
        replace(entry, attrs={**entry.attrs, "push": "true"}) if entry.type == "image" else entry for entry in outputs
    ]
    if all(entry.type == "docker" for entry in outputs):
        changed.append(OutputEntry("image", attrs={"push": "true"}))
    draft.values["output"] = changed


def set_load(draft: TargetDraft) -> None:
    """Add an output to the local image store, unless the outputs are of a kind that is meant to stay alone."""
    outputs: list[OutputEntry] = draft.values.get("output", [])
    if all(entry.type in ("image", "registry", "oci") or (entry.type == "docker" and entry.dest) for entry in outputs):
        draft.values["output"] = [*outputs, OutputEntry("docker")]


def read_overrides(
    expressions: Iterable[str], names: Iterable[str], env: Mapping[str, str]
) -> dict[str, list[Override]]:
    """What to change, by target. Raises BakeryError for an expression that says nothing about any target."""
    targets = list(names)
    found: dict[str, dict[str, Setting]] = {}
    for expression in expressions:
        left, equals, text = expression.partition("=")
        append = left.endswith("+")
        left = left.removesuffix("+")
        key, sub = _key(left)
        if not equals and key != "args":
            raise BakeryError.of(f"invalid override {expression}, expected target.name=value")
        names_meant = matching(left.split(".", 1)[0], targets)
        if key in ("args", "contexts", "secret", "resources") and not sub:
            raise BakeryError.of(f"invalid key {left}{'+' if append else ''}, {key} requires name")
        if key in ("secret", "resources") and append:
            raise BakeryError.of(f"invalid key {left}+, {key} does not support append")
        if not equals:
            if sub not in env:
                continue
            text = env[sub]
        for name in names_meant:
            settings = found.setdefault(name, {})
            slot = f"{key}.{sub}"
            setting = settings.setdefault(slot, Setting(key, sub, text))
            setting.text, setting.append = text, append
            setting.values.append(text)
    return {name: list(settings.values()) for name, settings in found.items()}


def _key(left: str) -> tuple[str, str]:
    parts = left.split(".", 2)
    if len(parts) < 2:
        raise BakeryError.of(f"invalid override key {left}, expected target.name")
    return parts[1], parts[2] if len(parts) > 2 else ""


def matching(pattern: str, targets: list[str]) -> list[str]:
    """The targets a pattern means: the one of that exact name, else all it matches. Raises BakeryError if none."""
    if pattern in targets:
        return [pattern]
    try:
        names = [name for name in targets if path_match(pattern, name)]
    except ValueError as error:
        raise BakeryError.of(f"could not match targets with '{pattern}'", str(error)) from None
    if not names:
        near = did_you_mean(pattern, targets)
        hint = f"did you mean {near!r}?" if near else f"what is built: {', '.join(sorted(targets)[:10])}"
        raise BakeryError.of(f"could not find any target matching '{pattern}'", hint=hint)
    return names
