"""The entry forms of bake files: caches, outputs, secrets, ssh, attestations and policies, as text or as an object.

The text form is one CSV line of `key=value` fields, keys lower-cased; the object form has the same keys.
Every function raises ValueError with what is wrong; the caller knows the place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bakery.config.target import AttestEntry, CacheEntry, OutputEntry, PolicyEntry, SecretEntry, SSHEntry
from bakery.config.textforms import csv_fields, parse_bool

SECRET_LIMIT = 500 * 1024
"""Bytes of a secret that a build step may see."""

Pairs = Mapping[str, str]


def _pairs(fields: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for entry in fields:
        key, equals, value = entry.partition("=")
        if not equals:
            raise ValueError(f"invalid value {entry}, expected key=value")
        pairs[key.strip().lower()] = value
    return pairs


def parse_cache(text: str) -> list[CacheEntry]:
    """One or, for bare references, several cache entries."""
    fields = csv_fields(text)
    if all("=" not in entry for entry in fields):
        return [CacheEntry("registry", {"ref": entry}) for entry in fields]
    return [cache_of(_pairs(fields))]


def cache_of(pairs: Pairs) -> CacheEntry:
    """The object form of a cache entry."""
    attrs = dict(pairs)
    kind = attrs.pop("type", "")
    if not kind:
        raise ValueError(f'type required for "{_shown(pairs)}"')
    return CacheEntry(kind, attrs)


def parse_output(text: str) -> list[OutputEntry]:
    """An output: a bare path, `-` for a tar to stdout, or `type=…` pairs."""
    fields = csv_fields(text)
    if len(fields) == 1 and fields[0] == text and not text.startswith("type="):
        return [OutputEntry("tar" if text == "-" else "local", text)]
    return [output_of(_pairs(fields))]


def output_of(pairs: Pairs) -> OutputEntry:
    """The object form of an output."""
    attrs = dict(pairs)
    kind, dest = attrs.pop("type", ""), attrs.pop("dest", "")
    if not kind:
        raise ValueError("type is required for output")
    return OutputEntry(kind, dest, attrs)


def parse_secret(text: str) -> list[SecretEntry]:
    """A secret as `id=…,src=…`, `id=…,env=…` or `id=…,command=…`; `type=env` says that `src` names a variable."""
    pairs = _pairs(csv_fields(text))
    kind = pairs.pop("type", "")
    if kind not in ("", "file", "env"):
        raise ValueError(f'unsupported secret type "{kind}"')
    secret = secret_of(pairs, text)
    if kind == "env" and not secret.env:
        secret = replace(secret, env=secret.src, src="")
    return [secret]


def secret_of(pairs: Pairs, text: str = "") -> SecretEntry:
    """The object form of a secret; the peer ignores `type` there."""
    src = env = name = version = command = ""
    for key, value in pairs.items():
        match key:
            case "id":
                name = value
            case "src" | "source":
                src = value
            case "env":
                env = value
            case "version":
                version = value
            case "command":
                command = value
            case "type":
                pass
            case _:
                raise ValueError(f"unexpected key '{key}' in '{text or _shown(pairs)}'")
    if command and (src or env):
        raise ValueError(f"secret {name} comes from its command, or from src or env, not from both")
    return SecretEntry(name, src, env, version, command)


def parse_ssh(text: str) -> list[SSHEntry]:
    """An ssh agent or keys as `id[=path[,path…]]`."""
    name, equals, paths = text.partition("=")
    return [SSHEntry(name, tuple(paths.split(",")) if equals else ())]


def parse_attest(text: str) -> list[AttestEntry]:
    """An attestation as `type=provenance|sbom,key=value…`; a bare `disabled` is true."""
    pairs: dict[str, str] = {}
    for entry in csv_fields(text):
        key, equals, value = entry.partition("=")
        if key.lower() in ("type", "disabled"):  # others may be a generator's own parameters, which have a case
            key = key.lower()
        if not equals and key != "disabled":
            raise ValueError(f"no value specified for attest key {key}")
        pairs[key] = value if equals else "true"
    return [attest_of(pairs)]


def attest_of(pairs: Pairs) -> AttestEntry:
    """The object form of an attestation."""
    attrs = dict(pairs)
    kind, disabled = attrs.pop("type", ""), attrs.pop("disabled", "false")
    if not kind:
        raise ValueError("attestation type not specified")
    return AttestEntry(kind, parse_bool(disabled), attrs)


def parse_policy(text: str) -> list[PolicyEntry]:
    """A policy: a bare file name, or `key=value` pairs."""
    fields = csv_fields(text)
    if len(fields) == 1 and "=" not in text:
        return [policy_of({"disabled": "true"} if text == "disabled" else {"filename": text})]
    return [policy_of(_pairs(fields))]


def policy_of(pairs: Pairs) -> PolicyEntry:
    """The object form of a policy."""
    unknown = pairs.keys() - {"filename", "reset", "disabled", "strict", "log-level"}
    if unknown:
        raise ValueError(f"invalid key '{min(unknown)}' in policy {_shown(pairs)}")
    return PolicyEntry(
        filename=pairs.get("filename", ""),
        reset=parse_bool(pairs.get("reset", "false")),
        disabled=parse_bool(pairs.get("disabled", "false")),
        strict=parse_bool(pairs["strict"]) if "strict" in pairs else None,
        log_level=pairs.get("log-level", ""),
    )


def _shown(pairs: Pairs) -> str:
    return ",".join(f"{key}={value}" for key, value in pairs.items())


PARSERS: dict[str, Callable[[str], list[Any]]] = {
    "cache-from": parse_cache,
    "cache-to": parse_cache,
    "output": parse_output,
    "secret": parse_secret,
    "ssh": parse_ssh,
    "attest": parse_attest,
    "policy": parse_policy,
}
"""Text forms by attribute. One text may give several entries (`ref,ref`)."""

OBJECTS: dict[str, Callable[[Pairs], Any]] = {
    "cache-from": cache_of,
    "cache-to": cache_of,
    "output": output_of,
    "secret": secret_of,
    "attest": attest_of,
    "policy": policy_of,
}
"""Object forms by attribute, all values as text. `ssh` has a list among its values and is handled by its reader."""


def entry_pairs(entry: Any) -> dict[str, Any]:
    """The object form of any entry as it prints: keys in the peer's order, empty parts left out."""
    match entry:
        case CacheEntry(kind, attrs):
            return dict(sorted({**attrs, "type": kind}.items()))
        case OutputEntry(kind, dest, attrs):
            return dict(sorted({**attrs, "type": kind, **({"dest": dest} if dest else {})}.items()))
        case AttestEntry(kind, disabled, attrs):
            return dict(sorted({**attrs, "type": kind, **({"disabled": True} if disabled else {})}.items()))
        case SecretEntry(name, src, env, version, command):
            parts = (("id", name), ("src", src), ("env", env), ("version", version), ("command", command))
            return {key: value for key, value in parts if value}
        case SSHEntry(name, paths):
            return {"id": name, **({"paths": list(paths)} if paths else {})}
        case PolicyEntry(filename, reset, disabled, strict, level):
            pairs = {"filename": filename, "reset": reset, "disabled": disabled, "log-level": level}
            return {k: v for k, v in pairs.items() if v} | ({} if strict is None else {"strict": strict})
    raise TypeError(f"not an entry: {entry!r}")
