"""What a step finds mounted, made ready: its root, its other inputs, caches, memory, secrets and agents.

What is mounted and what is locked is opened on stacks of the caller and gone when those are closed; the layers that the
step writes stay until they are committed or dropped.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import trio

from engine.cache.mounts import Seed
from engine.errors import StepError
from engine.llb.ops import NO_OUTPUT, SCRATCH, CacheSharing, Mount, MountType, SecretOpt
from engine.ops.context import StepContext
from engine.ops.step_secrets import agent_paths, secret_value
from engine.results import LocalTree, Result, Snapshot
from engine.sandbox.contract import OPEN_TO_ALL, BindMount, TmpfsMount
from engine.sandbox.devices import DeviceMount
from engine.sandbox.ssh_agent import agent_for, forwarded
from engine.sandbox.user import User
from engine.snapshots import namespace
from engine.snapshots.difference import write_file, write_tree
from engine.snapshots.kernel import MS_NODEV, MS_NOEXEC, MS_NOSUID, mount, unmount
from engine.snapshots.mount_points import MountPoints
from engine.snapshots.store import NewLayer, SnapshotStore
from engine.snapshots.work import discard
from engine.sources.trees import tree_of
from engine.tree import Tree, resolve
from engine.values import frozen

_OF_THE_SANDBOX = ("/proc", "/dev", "/sys")
_DEFAULT_SSH_ID = "default"


@frozen
class Shown:
    """Something to mount: `source` is a place on this machine, None for a file system in memory of `size` bytes."""

    dest: str
    source: Path | None
    readonly: bool = True
    size: int = 0
    nosuid: bool = False
    noexec: bool = False
    is_shared: bool = False
    is_node: bool = False

    @property
    def place(self) -> Place:
        """What it goes onto, if that has to be made. As with BuildKit memory takes over the mode of what is there."""
        if self.source is None:
            return Place(self.dest, stat.S_IFDIR | OPEN_TO_ALL)
        return Place(self.dest, stat.S_IFDIR | 0o755) if self.source.is_dir() else Place(self.dest)


@frozen
class Place:
    """Somewhere to mount: `mode` as stat(2) gives it."""

    path: str
    mode: int = stat.S_IFREG | 0o644


class ExecMounts:
    """The mounts of one step, and the layers it writes."""

    def __init__(
        self,
        mounts: Sequence[Mount],
        inputs: Sequence[Result],
        context: StepContext,
        layers: ExitStack,
        files: ExitStack,
    ) -> None:
        """`files` is closed before `commit`, `layers` after it."""
        self._mounts = sorted(mounts, key=lambda m: _clean(m.dest).split("/"))
        self._inputs = inputs
        self._context = context
        self._store: SnapshotStore = context.snapshots
        self._new_layers = layers
        self._files = files
        self._outputs: dict[int, NewLayer] = {}
        self.secrets: list[bytes] = []
        """Values that must not be shown."""
        self.folder = self._store.work.make("step")
        files.callback(discard, self.folder)

    def root(self) -> Mount:
        """The mount at `/`. Raises StepError if there is none."""
        for item in self._mounts:
            if _clean(item.dest) == "/":
                return item
        raise StepError("the step has no root file system")

    def base(self, item: Mount) -> Snapshot:
        """The snapshot under a mount; a folder of this machine becomes one first."""
        if item.input == SCRATCH:
            return Snapshot()
        result = self._inputs[item.input]
        return self._imported(result) if isinstance(result, LocalTree) else result

    def mount_root(self, item: Mount, base: Snapshot, places: Sequence[Place]) -> tuple[Path, list[Place]]:
        """Mounts the root file system with places to mount on; it, and where and what they really are."""
        layer = self._new_layers.enter_context(self._store.new_layer(base))
        tree = self._store.tree(base)
        points = MountPoints(tree)
        for path in _OF_THE_SANDBOX:
            _place_for(path, tree, layer)
        real = [place if _is_below(place.path, _OF_THE_SANDBOX) else _added(place, points) for place in places]
        root = self._files.enter_context(self._store.mounted(base, layer, self._store.places(points)))
        if item.output != NO_OUTPUT:
            self._outputs[item.output] = layer
        return root, real

    def working_folder(self, root: Path, base: Snapshot, path: str, shown: Sequence[Shown], user: User) -> str:
        """Where a step begins, made if it is not there; it belongs to the step's user then. The real path of it."""
        tree = self._store.tree(base)
        real = resolve(tree, _clean(path))
        if _is_below(real, [item.dest for item in shown]):
            return _clean(path)  # a mount shows it, or not
        missing = []
        while tree.lstat(real) is None:
            missing.append(real)
            real = posixpath.dirname(real)
        for folder in reversed(missing):
            place = root / folder.lstrip("/")
            if not place.is_dir():  # it may be one that was made for a mount
                place.mkdir()
                place.chmod(0o755)
                os.chown(place, user.uid, user.gid)
        return missing[0] if missing else real

    async def others(self, opened: AsyncExitStack, devices: Sequence[DeviceMount]) -> list[Shown]:
        """All mounts but the root, made ready, with those of devices."""
        shown: list[Shown] = []
        for number, item in enumerate(self._mounts):
            if _clean(item.dest) == "/":
                continue
            ready = await self._open(item, number, opened)
            if ready is not None:
                shown.append(ready)
        shown += [
            Shown(_clean(item.dest), item.source, item.readonly, nosuid=True, is_node=item.is_node) for item in devices
        ]
        return sorted(shown, key=lambda item: item.dest.split("/"))

    def commit(self, description: str) -> list[Result | None]:
        """Keeps the layers of the outputs; nothing may be mounted any more."""
        count = max(self._outputs, default=-1) + 1
        results: list[Result | None] = [None] * count
        for output, layer in self._outputs.items():
            results[output] = layer.commit(description)
        return results

    async def _open(self, item: Mount, number: int, opened: AsyncExitStack) -> Shown | None:
        dest = _clean(item.dest)
        if item.mount_type is MountType.TMPFS:
            return Shown(dest, None, size=item.tmpfs_opt.size if item.tmpfs_opt else 0)
        if item.mount_type is MountType.CACHE:
            return Shown(dest, await self._cache(item, opened), item.readonly, is_shared=_is_shared(item))
        if item.mount_type is MountType.SECRET:
            return await self._secret(item, dest, number)
        if item.mount_type is MountType.SSH:
            return await self._agent(item, dest, number, opened)
        return Shown(dest, await trio.to_thread.run_sync(self._bind, item, number), item.readonly)

    def _bind(self, item: Mount, number: int) -> Path:
        result = self._inputs[item.input] if item.input != SCRATCH else Snapshot()
        if isinstance(result, LocalTree) and item.output == NO_OUTPUT:
            return self._copied(result, item.selector, number)
        base = self.base(item)
        layer = None
        if not item.readonly:
            layer = self._new_layers.enter_context(self._store.new_layer(base))
            if item.output != NO_OUTPUT:
                self._outputs[item.output] = layer
        path = _selected(self._store.tree(base), item.selector)
        return self._files.enter_context(self._store.mounted(base, layer)) / path.lstrip("/")

    def _copied(self, local: LocalTree, selector: str, number: int) -> Path:
        """A part of a folder of this machine, as the engine reads it: filtered, and everything owned by root."""
        tree = tree_of(local, self._store)
        path = _selected(tree, selector)
        entry = tree.lstat(path)
        target = self.folder / f"copy-{number}"
        if entry is not None and not entry.is_dir:
            write_file(tree, path, target)
        else:
            target.mkdir()
            write_tree(tree, target, path)
        return target

    def _imported(self, local: LocalTree) -> Snapshot:
        with self._store.new_layer(Snapshot()) as layer:
            write_tree(tree_of(local, self._store), layer.path)
            return layer.commit("folder")

    async def _cache(self, item: Mount, opened: AsyncExitStack) -> Path:
        option = item.cache_opt
        if option is None:
            raise StepError(f"the cache mount at {item.dest} has no cache")
        seed = None
        if item.input != SCRATCH:
            result = self._inputs[item.input]
            tree = tree_of(result, self._store)
            path = _selected(tree, item.selector)
            origin = ",".join(result.layers) if isinstance(result, Snapshot) else str(result.path)
            seed = Seed(f"{origin}:{path}", tree, path)
        return await opened.enter_async_context(self._context.mounts.acquire(option.id, option.sharing, seed))

    async def _secret(self, item: Mount, dest: str, number: int) -> Shown | None:
        option = item.secret_opt
        if option is None:
            raise StepError(f"the secret mount at {item.dest} names no secret")
        value = await secret_value(self._context, option.id, option.optional)
        if value is None:
            return None
        self.secrets.append(value)
        return Shown(
            dest, await trio.to_thread.run_sync(self._secret_file, option, value, number), nosuid=True, noexec=True
        )

    def _secret_file(self, option: SecretOpt, value: bytes, number: int) -> Path:
        folder = self.folder / f"secret-{number}"
        folder.mkdir(mode=0o700)
        namespace.enter()
        # In memory, and with flags that the step's own mount of it keeps.
        mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700")
        self._files.callback(_unmount, folder)
        file = folder / "secret"
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as stream:
            stream.write(value)
        os.chown(file, option.uid, option.gid)
        os.chmod(file, option.mode & 0o777)
        return file

    async def _agent(self, item: Mount, dest: str, number: int, opened: AsyncExitStack) -> Shown | None:
        option = item.ssh_opt
        if option is None:
            raise StepError(f"the ssh mount at {item.dest} names no agent")
        paths = agent_paths(self._context.agents, option.id or _DEFAULT_SSH_ID, option.optional)
        if paths is None:
            return None
        folder = self.folder / f"ssh-{number}"
        folder.mkdir(mode=0o700)
        agent = await opened.enter_async_context(agent_for(paths, folder))
        socket = folder / "agent.sock"
        await opened.enter_async_context(forwarded(agent, socket, option.uid, option.gid, option.mode & 0o777))
        return Shown(dest, socket, nosuid=True)


def to_step_mount(shown: Shown, place: Place) -> BindMount | TmpfsMount:
    """What the sandbox is told of a mount."""
    dest = place.path
    if shown.source is None:
        return TmpfsMount(dest, shown.size, stat.S_IMODE(place.mode))
    options = {"nosuid": shown.nosuid, "nodev": not shown.is_node, "noexec": shown.noexec}
    return BindMount(shown.source, dest, shown.readonly, **options, is_shared=shown.is_shared, is_node=shown.is_node)


def check_nested(shown: Sequence[Shown]) -> None:
    """Refuses mounts whose way leads over a symbolic link in another mount, such as a cache that a step has written.

    A runtime that makes the place would follow it, and perhaps out of the step's root.
    """
    for at, item in enumerate(shown):
        parents = [other for other in shown[:at] if other.source and _is_below(item.dest, [other.dest])]
        if not parents:
            continue
        above = parents[-1]
        way = above.source
        for part in item.dest[len(above.dest.rstrip("/")) :].strip("/").split("/"):
            assert way is not None
            way = way / part
            if way.is_symlink():
                raise StepError(f"cannot mount on {item.dest}: {part} is a symbolic link in the mount at {above.dest}")


def nested(shown: Sequence[Shown]) -> list[bool]:
    """Whether each mount lies in one that is made before it, where its place is the sandbox's concern."""
    return [_is_below(item.dest, [other.dest for other in shown[:at]]) for at, item in enumerate(shown)]


def _added(place: Place, points: MountPoints) -> Place:
    kind, mode = stat.S_IFMT(place.mode), stat.S_IMODE(place.mode)
    real = points.add(place.path, is_folder=stat.S_ISDIR(kind), mode=mode)
    return Place(real, kind | points.mode(real))


def real_places(shown: Sequence[Shown], known: Sequence[Place | None]) -> list[Place]:
    """Where mounts really go: those that lie in another one, whose places are not `known`, go where that one goes."""
    found: list[Place] = []
    for item, place in zip(shown, known, strict=True):
        if place is None:
            above = max((n for n in range(len(found)) if _is_below(item.dest, [shown[n].dest])), default=0)
            inside = item.dest[len(shown[above].dest.rstrip("/")) :]
            place = Place(posixpath.normpath(found[above].path + inside), item.place.mode)
        found.append(place)
    return found


def _is_shared(item: Mount) -> bool:
    return item.cache_opt is not None and item.cache_opt.sharing is CacheSharing.SHARED


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


def _is_below(path: str, parents: Sequence[str]) -> bool:
    return any(path == parent or path.startswith(parent.rstrip("/") + "/") for parent in parents)


def _selected(tree: Tree, selector: str) -> str:
    path = resolve(tree, "/" + selector)
    if path != "/" and tree.lstat(path) is None:
        raise StepError(f'"{_clean(selector)}": not found', hint="nothing of that name can be mounted")
    return path


def _place_for(path: str, tree: Tree, layer: NewLayer) -> None:
    """A folder for one of the sandbox's own mounts; as with BuildKit it stays in the layer: diff IDs depend on it."""
    entry = tree.lstat(path)
    if entry is None:
        place = layer.path / path.lstrip("/")
        place.mkdir()
        place.chmod(0o755)
    elif not entry.is_dir:
        raise StepError(f"{path} is no folder in the file system of the step")


def _unmount(folder: Path) -> None:
    namespace.enter()
    unmount(folder)
