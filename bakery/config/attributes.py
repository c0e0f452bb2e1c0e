"""The attributes of a target block: their names, types and how two settings of one merge.

This table is what readers, merging, printing, overrides and the JSON Schemas agree on.
"""

from __future__ import annotations

from enum import Enum

from bakery.values import frozen


class Kind(Enum):
    """The type of an attribute."""

    STRING = "string"
    BOOL = "bool"
    STRINGS = "list of string"
    MAP = "map of string"
    ENTRIES = "list of entries"
    RESOURCES = "resources"


class Merge(Enum):
    """What happens to a value when a child or a later block sets the attribute again."""

    REPLACE = "the later value counts"
    NON_EMPTY = "the later value counts unless it is empty"
    APPEND = "values add up, equal ones counting once"
    APPEND_ALL = "values add up"
    KEYED = "entries add up; one with a known key takes the place of the earlier one"
    BY_KEY = "keys add up, later values counting"


@frozen
class Attribute:
    """One attribute of a target block. `field` is its name in `Target`; `key` is what tells KEYED entries apart."""

    name: str
    kind: Kind
    merge: Merge
    field: str
    description: str
    key: str = ""
    nullable: bool = True
    """Whether `null` means unset; elsewhere the peer refuses it, and so do we."""


def _attribute(
    name: str, kind: Kind, merge: Merge, description: str, *, key: str = "", nullable: bool = True
) -> Attribute:
    return Attribute(name, kind, merge, name.replace("-", "_"), description, key, nullable)


_PRINTED = (
    _attribute(
        "description", Kind.STRING, Merge.NON_EMPTY, "What the target is, for `--list=targets`.", nullable=False
    ),
    _attribute("annotations", Kind.STRINGS, Merge.APPEND, "OCI annotations: `[level[platform]:]key=value`."),
    _attribute(
        "attest", Kind.ENTRIES, Merge.KEYED, "Attestations: `type=provenance|sbom,…`.", key="type", nullable=False
    ),
    _attribute("context", Kind.STRING, Merge.REPLACE, "The main build context: a folder or a URL."),
    _attribute("contexts", Kind.MAP, Merge.BY_KEY, "Named contexts: folder, URL, `docker-image://`, `target:name`…"),
    _attribute("combine", Kind.STRINGS, Merge.REPLACE, "Targets whose platforms are put into one image."),
    _attribute(
        "dockerfile", Kind.STRING, Merge.REPLACE, "The Dockerfile, relative to the context; `-` is standard input."
    ),
    _attribute("dockerfile-inline", Kind.STRING, Merge.REPLACE, "The text of a Dockerfile; wins over `dockerfile`."),
    _attribute("args", Kind.MAP, Merge.BY_KEY, "Build arguments; null leaves one unset."),
    _attribute("labels", Kind.MAP, Merge.BY_KEY, "Labels of the image."),
    _attribute("tags", Kind.STRINGS, Merge.REPLACE, "Names of the image."),
    _attribute("cache-from", Kind.ENTRIES, Merge.APPEND, "Where to look for cache.", nullable=False),
    _attribute("cache-to", Kind.ENTRIES, Merge.REPLACE, "Where to put cache.", nullable=False),
    _attribute("target", Kind.STRING, Merge.REPLACE, "The Dockerfile stage to build."),
    _attribute("secret", Kind.ENTRIES, Merge.KEYED, "Secrets for build steps.", key="id", nullable=False),
    _attribute("ssh", Kind.ENTRIES, Merge.KEYED, "ssh agents or keys for build steps.", key="id", nullable=False),
    _attribute("platforms", Kind.STRINGS, Merge.REPLACE, "Platforms to build for: `linux/arm64`."),
    _attribute("output", Kind.ENTRIES, Merge.REPLACE, "What to make of the result.", nullable=False),
    _attribute("pull", Kind.BOOL, Merge.REPLACE, "Ask the registry for newer images even if one is there."),
    _attribute("no-cache", Kind.BOOL, Merge.REPLACE, "Run every step again."),
    _attribute("network", Kind.STRING, Merge.REPLACE, "Network of build steps: default, host or none."),
    _attribute("no-cache-filter", Kind.STRINGS, Merge.APPEND, "Stages to run again."),
    _attribute("shm-size", Kind.STRING, Merge.REPLACE, "Size of /dev/shm in steps: bytes or `128m`."),
    _attribute("ulimits", Kind.STRINGS, Merge.APPEND, "Limits in steps: `nofile=1024:2048`."),
    _attribute("resources", Kind.RESOURCES, Merge.BY_KEY, "Memory and CPU limits of steps.", nullable=False),
    _attribute("call", Kind.STRING, Merge.REPLACE, "What to ask of the Dockerfile: build, check, outline, targets."),
    _attribute("entitlements", Kind.STRINGS, Merge.APPEND, "Privileges the steps need: network.host…"),
    _attribute("extra-hosts", Kind.MAP, Merge.BY_KEY, "Lines of /etc/hosts in steps."),
    _attribute("policy", Kind.ENTRIES, Merge.APPEND_ALL, "Policies that sources are judged by.", nullable=False),
)

ATTRIBUTES: dict[str, Attribute] = {attribute.name: attribute for attribute in _PRINTED}
"""By name as files spell it, in the order in which `--print` shows them."""

OWN_ATTRIBUTES = frozenset({"combine"})
"""Attributes of bakery's own files: elsewhere they mean what they mean to the peer, which is nothing."""

RESOURCE_TEXTS = ("memory", "memory-swap", "cpuset-cpus", "cpuset-mems")
RESOURCE_NUMBERS = ("cpu-shares", "cpu-period", "cpu-quota")
RESOURCE_ORDER = ("memory", "memory-swap", "cpu-shares", "cpu-period", "cpu-quota", "cpuset-cpus", "cpuset-mems")
"""The keys of `resources` in the order in which `--print` shows them."""
