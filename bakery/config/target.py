"""What comes out of a bake file: targets, groups and the project. Every other room codes against these types.

A value of `None` says "the file does not set it"; `""`, `False` and `()` say "set to nothing" where that differs.
Entry types hold the attributes of the peer's comma-separated forms (`type=registry,ref=…`) as they were written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from bakery.diagnostics import Diagnostic, SourceFile, Span
from bakery.values import frozen


@frozen
class CacheEntry:
    """Where a build looks for cache, or puts it: `registry`, `local`, `inline`, `gha`, `s3`, `azblob`."""

    type: str
    attrs: Mapping[str, str] = field(default_factory=dict)


@frozen
class OutputEntry:
    """What is made of a result: `image`, `docker`, `oci`, `local`, `tar` or `cacheonly`.

    `registry` is never seen here: it is `image` with `push=true` in all but name, and keeps its name in `type`.
    `dest` is a path, `-` for stdout, or empty. `attrs` has everything else (`name`, `push`, `compression`…).
    """

    type: str
    dest: str = ""
    attrs: Mapping[str, str] = field(default_factory=dict)


@frozen
class SecretEntry:
    """A secret for build steps, read when it is needed: from the file `src`, the environment variable `env`, or from
    what `command` says, a line for the shell.

    With none of these, the variable named `id` counts if it is set, else the file of that name. A value never makes
    a step run again; a new `version` does, which is for whoever rotates a secret to say.
    """

    id: str
    src: str = ""
    env: str = ""
    version: str = ""
    command: str = ""


@frozen
class SSHEntry:
    """An ssh agent socket or key files for build steps; no `paths` means the agent at SSH_AUTH_SOCK."""

    id: str
    paths: tuple[str, ...] = ()


@frozen
class AttestEntry:
    """An attestation to attach to images (`provenance`, `sbom`), or its refusal."""

    type: str
    disabled: bool = False
    attrs: Mapping[str, str] = field(default_factory=dict)


@frozen
class PolicyEntry:
    """A policy file that sources are judged by; `None` leaves the decision to the policy engine."""

    filename: str = ""
    reset: bool = False
    disabled: bool = False
    strict: bool | None = None
    log_level: str = ""


@frozen
class Target:
    """One image or set of files to build, with inheritance, overrides and defaults applied.

    Paths (`context`, `contexts`, outputs, secrets…) are relative to the folder the command runs in, unless absolute,
    a URL or prefixed (`docker-image://`, `oci-layout://`, `target:`, `cwd://`). `dockerfile` is relative to `context`.
    """

    name: str
    description: str = ""
    context: str = "."
    contexts: Mapping[str, str] = field(default_factory=dict)
    combine: tuple[str, ...] = ()
    """Targets whose platforms make up this one, which has no Dockerfile then: one index of them all."""
    dockerfile: str = "Dockerfile"
    dockerfile_inline: str | None = None
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    target: str | None = None
    cache_from: tuple[CacheEntry, ...] = ()
    cache_to: tuple[CacheEntry, ...] = ()
    output: tuple[OutputEntry, ...] = ()
    secret: tuple[SecretEntry, ...] = ()
    ssh: tuple[SSHEntry, ...] = ()
    attest: tuple[AttestEntry, ...] = ()
    policy: tuple[PolicyEntry, ...] = ()
    network: str | None = None
    pull: bool | None = None
    no_cache: bool | None = None
    no_cache_filter: tuple[str, ...] = ()
    shm_size: str | None = None
    ulimits: tuple[str, ...] = ()
    resources: Mapping[str, str | int] = field(default_factory=dict)
    call: str | None = None
    entitlements: tuple[str, ...] = ()
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    matrix: Mapping[str, str] = field(default_factory=dict)
    """The axis values this target was expanded with, as text; empty for a target without a matrix."""
    requested: bool = True
    """False for a target that is only here because a requested one links to it."""
    span: Span | None = None
    """The block that defines the target; `spans` has the attributes that a message may want to point at."""
    spans: Mapping[str, Span] = field(default_factory=dict)

    def span_of(self, attribute: str) -> Span | None:
        """Where `attribute` (as the file spells it, `no-cache-filter`) is set; the block if that is not known."""
        return self.spans.get(attribute, self.span)


@frozen
class Group:
    """A name for several targets and groups."""

    name: str
    targets: tuple[str, ...] = ()
    description: str = ""
    span: Span | None = None


@frozen
class VariableInfo:
    """A declared variable as `--list=variables` shows it; `type` is the reader's form (`list of string`)."""

    name: str
    type: str = ""
    value: str | None = None
    description: str = ""


@frozen
class NamedDescription:
    """A target or group as `--list=targets` shows it; `group` has the members where it is a group."""

    name: str
    description: str = ""
    group: tuple[str, ...] | None = None


@frozen
class Project:
    """All that one command asks for: requested and linked targets, the groups that lead to them, and what was noticed.

    `groups` always has `default`, the requested names. `remote` is the URL the definition came from, if any, and
    `remote_context` what a `.` context means then. `declared` names every target in the files, asked for or not.
    """

    targets: Mapping[str, Target]
    groups: Mapping[str, Group] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()
    files: tuple[SourceFile, ...] = ()
    remote: str | None = None
    remote_context: str | None = None
    declared: tuple[str, ...] = ()


@frozen
class Listing:
    """What the files declare, without resolving any target: the answer to `--list`."""

    targets: tuple[NamedDescription, ...] = ()
    variables: tuple[VariableInfo, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
