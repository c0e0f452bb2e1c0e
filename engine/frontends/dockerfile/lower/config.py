"""An image's config while a stage changes it: what OCI and Docker define, nothing else of the base's document.

The history gets an entry for each instruction, in the peer's words. Entries with `empty_layer` made no layer; the
others belong, in order, to the vertices that did. `created` is left out, for the exporter to fill in along with
`rootfs`, unless SOURCE_DATE_EPOCH fixes it.

Format: https://github.com/opencontainers/image-spec/blob/main/config.md and Docker's additions (Healthcheck, OnBuild,
Shell, ArgsEscaped).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from engine.errors import DefinitionError
from engine.frontends.contract import ImageConfig
from engine.frontends.dockerfile.lower.platform import of_config
from engine.llb.ops import Platform

COMMENT = "buildkit.dockerfile.v0"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TEXTS = ("User", "WorkingDir", "StopSignal")
_LISTS = ("Env", "Entrypoint", "Cmd", "OnBuild", "Shell")
_SETS = ("ExposedPorts", "Volumes")
_NAMED = (*_SETS, "Labels")
_ORDER = (
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "ArgsEscaped",
    "Healthcheck",
    "OnBuild",
    "Shell",
)
_HISTORY = ("created", "created_by", "author", "comment", "empty_layer")
_HEALTH = ("Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")


class Image:
    """A config, open for changes. `fork` gives another stage its own."""

    __slots__ = ("_env_at", "author", "config", "env", "history", "platform", "rootfs")

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.author = ""
        self.config: dict[str, Any] = {}
        self.env: list[str] = []
        self._env_at: dict[str, int] = {}
        self.history: list[dict[str, Any]] = []
        self.rootfs: dict[str, Any] = {"type": "layers", "diff_ids": []}

    @classmethod
    def empty(cls, platform: Platform) -> Image:
        """The config of `FROM scratch`."""
        image = cls(platform)
        image.config["WorkingDir"] = "/"
        if platform.os != "windows":
            image.set_env("PATH", DEFAULT_PATH)
        return image

    @classmethod
    def parse(cls, document: ImageConfig) -> Image:
        """A base image's config, written by whoever made it.

        Raises:
            DefinitionError: if a field has another type than it must have.
        """
        _need(document, dict, "the image config")
        image = cls(of_config(document))
        image.author = _optional(document, "author", str) or ""
        config = _optional(document, "config", dict) or {}
        for key in _TEXTS:
            if value := _optional(config, key, str):
                image.config[key] = value
        for key in _LISTS:
            items = _strings(config, key)
            if items and key != "Env":
                image.config[key] = items
            elif items:
                image.env = items
        for key in _SETS:
            if names := _optional(config, key, dict):
                image.config[key] = {name: {} for name in names}
        if labels := _optional(config, "Labels", dict):
            image.config["Labels"] = {key: _need(value, str, f"label {key}") for key, value in labels.items()}
        if _optional(config, "ArgsEscaped", bool):
            image.config["ArgsEscaped"] = True
        if health := _optional(config, "Healthcheck", dict):
            image.config["Healthcheck"] = {key: health[key] for key in _HEALTH if health.get(key)}
        for at, item in enumerate(image.env):
            image._env_at.setdefault(item.partition("=")[0], at)
        image.rootfs = _rootfs(_optional(document, "rootfs", dict) or {})
        for entry in _optional(document, "history", list) or []:
            _need(entry, dict, "a history entry")
            image.history.append({key: entry[key] for key in _HISTORY if entry.get(key)})
        return image

    def fork(self) -> Image:
        """A copy to be changed on its own. Values are replaced, never changed in place, so they can be shared."""
        other = copy.copy(self)
        other.config = {key: dict(v) if isinstance(v, dict) else v for key, v in self.config.items()}
        other.env, other._env_at = list(self.env), dict(self._env_at)
        other.history = list(self.history)
        return other

    @property
    def has_layers(self) -> bool:
        """Whether the image has any file at all."""
        return bool(self.rootfs["diff_ids"]) or any(not entry.get("empty_layer") for entry in self.history)

    def set_env(self, key: str, value: str) -> None:
        """Sets a variable where it stands, or adds it."""
        at = self._env_at.get(key)
        if at is None:
            self._env_at[key] = len(self.env)
            self.env.append(f"{key}={value}")
        else:
            self.env[at] = f"{key}={value}"

    def has_env(self, key: str) -> bool:
        """Whether a variable is set."""
        return key in self._env_at

    def text(self, key: str) -> str:
        """A text field, such as `User`; empty if it is not set."""
        return str(self.config.get(key, ""))

    def words(self, key: str) -> list[str]:
        """A list field, such as `Shell`."""
        return list(self.config.get(key, ()))

    def put(self, key: str, value: Any) -> None:
        """Sets a field, or takes it out where the value is empty."""
        if value:
            self.config[key] = value
        else:
            self.config.pop(key, None)

    def add_names(self, key: str, names: Iterable[str]) -> None:
        """Adds to a set of names, such as `Volumes`."""
        self.config.setdefault(key, {}).update({name: {} for name in names})

    def add_labels(self, labels: Mapping[str, str]) -> None:
        """Sets labels."""
        if labels:
            self.config.setdefault("Labels", {}).update(labels)

    def shell(self) -> list[str]:
        """What runs commands that are text."""
        return self.words("Shell") or (["cmd", "/S", "/C"] if self.platform.os == "windows" else ["/bin/sh", "-c"])

    def record(self, text: str, *, layer: bool, epoch: int | None) -> None:
        """Adds to the history. `epoch` in seconds."""
        entry: dict[str, Any] = {} if epoch is None else {"created": _time(epoch)}
        entry |= {"created_by": text, "comment": COMMENT}
        if not layer:
            entry["empty_layer"] = True
        self.history.append(entry)

    def to_json(self) -> ImageConfig:
        """The document, in the order that Go writes it: fields as the specification lists them, names sorted."""
        out: dict[str, Any] = {"author": self.author} if self.author else {}
        platform = self.platform
        out |= {"architecture": platform.architecture, "os": platform.os}
        if platform.os_version:
            out["os.version"] = platform.os_version
        if platform.os_features:
            out["os.features"] = list(platform.os_features)
        if platform.variant:
            out["variant"] = platform.variant
        config = {**self.config, "Env": list(self.env)} if self.env else self.config
        config = {key: dict(sorted(config[key].items())) if key in _NAMED else config[key] for key in config}
        out["config"] = {key: config[key] for key in _ORDER if key in config}
        out["rootfs"] = copy.deepcopy(self.rootfs)
        if self.history:
            out["history"] = [dict(entry) for entry in self.history]
        return out


def _time(epoch: int) -> str:
    try:
        return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        raise DefinitionError(f"invalid SOURCE_DATE_EPOCH: {epoch} is not a time that can be written") from None


def _rootfs(found: dict[str, Any]) -> dict[str, Any]:
    return {"type": _optional(found, "type", str) or "", "diff_ids": _strings(found, "diff_ids")}


def _need(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise DefinitionError(f"failed to parse image config: {what} is not of type {kind.__name__}")
    return value


def _optional(document: Mapping[str, Any], key: str, kind: type) -> Any:
    value = document.get(key)
    return None if value is None else _need(value, kind, key)


def _strings(document: Mapping[str, Any], key: str) -> list[str]:
    return [_need(item, str, key) for item in _optional(document, key, list) or []]
