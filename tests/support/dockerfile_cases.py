"""The recorded Dockerfile cases, and a bridge that answers from recorded data: no server, no engine."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from engine import platforms
from engine.digests import Digest, sha256
from engine.errors import EngineError, SourceError
from engine.frontends.contract import FrontendRequest, FrontendResult, LocalFolder, ResolvedImage
from engine.frontends.dockerfile import DockerfileFrontend, localfile
from engine.llb.definition import Definition, Place
from engine.llb.ops import Platform

TESTS = Path(__file__).parents[1]
VECTORS = TESTS / "vectors" / "dockerfile"
BUSYBOX = json.loads((TESTS / "data" / "busybox" / "image.json").read_text())
REGISTRY = "localhost:5000/"
AMD64 = Platform("amd64", "linux")


def load_compare() -> ModuleType:
    """The vectors' own comparison."""
    spec = importlib.util.spec_from_file_location("dockerfile_compare", VECTORS / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Case:
    """One build of a recorded case."""

    folder: Path
    build: str
    fields: dict[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name + (f"/{self.build}" if self.build else "")

    @property
    def expected(self) -> Path:
        return self.folder / "expected" / self.build

    def options(self) -> dict[str, str]:
        options = dict(self.fields.get("opts", {}))
        if "dockerfile" in self.fields:
            options.setdefault("filename", self.fields["dockerfile"])
        return options

    def request(self, **more: str) -> FrontendRequest:
        """The request that the case is. Its files are read where they lie."""
        context = self.fields.get("context", "context")
        locals_ = {name: self.folder / path for name, path in self.fields.get("locals", {}).items()}
        if context:
            locals_["context"] = self.folder / context
            locals_["dockerfile"] = self.folder / self.fields.get("dockerfile_dir", context)
        folders = {name: LocalFolder(name, path) for name, path in locals_.items()}
        return FrontendRequest({**self.options(), **more}, folders, default_platform=AMD64)


def cases() -> list[Case]:
    """All builds that lower a Dockerfile (not those that only ask for checks)."""
    out = []
    for file in sorted(VECTORS.glob("*/case.json")):
        case = json.loads(file.read_text())
        for build, fields in (case.get("builds") or {"": {}}).items():
            merged = {**case, **fields, "opts": {**case.get("opts", {}), **fields.get("opts", {})}}
            if not merged.get("request_only") and "requestid" not in merged["opts"]:
                out.append(Case(file.parent, build, merged))
    return out


class RecordedBridge:
    """Knows the busybox image and those that a case derives from it, its pages and its repositories."""

    def __init__(self, case: Case | None = None, work: Path | None = None) -> None:
        self.fields = case.fields if case else {}
        self.folder = case.folder if case else Path()
        self.work = work
        self.asked: list[str] = []

    async def resolve_image(self, reference: str, platform: Platform, mode: str = "") -> ResolvedImage:
        self.asked.append(reference)
        name = reference.removeprefix(REGISTRY)
        key = platforms.format(platform)
        if name == "busybox:1.35":
            if key not in BUSYBOX["platforms"]:
                raise failed(reference, "no match for platform in manifest: not found")
            return ResolvedImage(reference, BUSYBOX["digest"], BUSYBOX["platforms"][key]["config"], platform)
        spec = self.fields.get("bases", {}).get(name)
        if spec is None:
            raise failed(reference, f"{reference}: not found")
        return derived(reference, spec, platform)

    async def resolve_layout(self, folder: Path, reference: str, platform: Platform) -> ResolvedImage:
        raise failed(reference, "no layouts here")

    async def files(self, definition: Definition) -> TreeFiles:
        source = next(v.op.source for v in definition.walk() if v.op.source)
        if source.identifier.startswith("git://"):
            return TreeFiles(self._checkout(source.identifier))
        return TreeFiles(self._download(source.identifier, unpack=any(v.op.file for v in definition.walk())))

    def _download(self, identifier: str, *, unpack: bool) -> Path:
        name = identifier.rpartition("/")[2]
        page = self.folder / self.fields["http"].get("root", "www") / name
        assert self.work is not None
        tree = Path(tempfile.mkdtemp(dir=self.work))
        if unpack:
            subprocess.run(["tar", "-xf", page, "-C", tree], check=True)
        else:
            (tree / "context").write_bytes(page.read_bytes())
        return tree

    def _checkout(self, identifier: str) -> Path:
        location, _, fragment = identifier.partition("#")
        ref, _, subdir = fragment.partition(":")
        stream = self.folder / self.fields["git"]["repos"][location.rpartition("/")[2]]
        assert self.work is not None
        repository, tree = self.work / "repository", self.work / "tree"
        tree.mkdir()
        git = ["git", "-C", str(repository)]
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], check=True)
        subprocess.run([*git, "fast-import", "--quiet"], input=stream.read_bytes(), check=True)
        subprocess.run([*git, f"--work-tree={tree}", "checkout", "-q", ref or "main", "--", "."], check=True)
        return tree / subdir

    def worker_platforms(self) -> Sequence[Platform]:
        return [AMD64, Platform("386", "linux")]


@dataclass(frozen=True)
class TreeFiles:
    """A folder as `engine.frontends.contract.Files`."""

    root: Path

    async def read(self, path: str, limit: int = 0) -> bytes:
        return localfile.read(self.root, path)

    async def head(self, path: str, size: int) -> bytes:
        return localfile.read(self.root, path)[:size]

    async def exists(self, path: str) -> bool:
        return localfile.inside(self.root, path).exists()


def failed(reference: str, reason: str) -> SourceError:
    return SourceError(f"failed to resolve source metadata for {reference}: {reason}")


def derived(reference: str, spec: dict[str, Any], platform: Platform) -> ResolvedImage:
    """An image as the vectors' fixtures would push it: busybox with its config patched."""
    entry = BUSYBOX["platforms"][spec.get("platforms", [platforms.format(platform)])[0]]
    config = json.loads(json.dumps(entry["config"]))
    config["config"].update(spec.get("config", {}))
    config.update(spec.get("top", {}))
    layers = [{key: layer[key] for key in ("mediaType", "digest", "size")} for layer in entry["manifest"]["layers"]]
    data = packed(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "layers": layers,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": "sha256:" + hashlib.sha256(data).hexdigest(),
            "size": len(data),
        },
    }
    return ResolvedImage(reference, Digest(sha256(packed(manifest))), config, platform)


def packed(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


async def lower(request: FrontendRequest, bridge: RecordedBridge | None = None) -> FrontendResult:
    """What the frontend makes of a request."""
    return await DockerfileFrontend().lower(request, bridge or RecordedBridge())


def rendered(error: EngineError) -> str:
    """An error as the peer prints it: the lines it is about, then the message."""
    return "".join(map(excerpt, error.places)) + f"error: {error.message}\n"


def excerpt(place: Place) -> str:
    """Two lines before and after; four for one line at an end of the file."""
    lines = place.source.data.decode("utf-8", "replace").split("\n")
    numbers = [r.start.line for r in place.ranges if r.start]
    first, last = min(numbers), min(max(numbers), len(lines))
    start, end, shown = first, last, 0
    wanted = 4 if start == end else 2
    while shown < wanted:
        if start > 1:
            start, shown = start - 1, shown + 1
        if end != len(lines):
            end, shown = end + 1, shown + 1
        shown += 1
    rows = [f" {n:3} | {'>>>' if n in numbers else '   '} {lines[n - 1]}\n" for n in range(start, end + 1)]
    rule = "-" * 20 + "\n"
    return f"{place.source.filename}:{first}\n{rule}{''.join(rows)}{rule}"
