"""The snapshot store: layers on disk, made, mounted, read and compared.

A layer is `layers/ID/fs`, in overlay form, complete and never changed. It is written in `work/`, renamed into place,
and then recorded in the database.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.disks import is_gone
from engine.errors import SPACE_HINT, StateError, disk_hint
from engine.ledger import Ledger
from engine.results import LayerID, Snapshot
from engine.snapshots import user_namespace
from engine.snapshots.difference import write_difference
from engine.snapshots.marks import Measured, measure
from engine.snapshots.overlay_format import overlay_format
from engine.snapshots.tree import LayeredTree
from engine.snapshots.work import WorkFolder, discard
from engine.tree import Tree
from engine.values import frozen

if TYPE_CHECKING:
    import trio

    from engine.snapshots.mount_points import MountPoints, Place
    from engine.state import State

_RECORD = (
    "INSERT INTO layers (id, unpacked, size, created, used, description, below) VALUES (?, 1, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET unpacked = 1, size = excluded.size, used = excluded.used"
)
_MARK = "INSERT OR REPLACE INTO layer_marks (layer, mark) VALUES (?, ?)"
_NAMES = 64
"""How many names of layers are reserved at once."""
_BELOW = "below"
_IDS = "ids"
Progress = Callable[[str, int, int, bool], None]
"""Tells of a part: its id, bytes done, bytes in all (0 if unknown), whether it is complete."""


class Fetcher(Protocol):
    """Brings layers here that are recorded but not unpacked."""

    async def fetch(self, layers: Sequence[LayerID], progress: Progress) -> None:
        """Unpacks the layers, each through `NewLayer.commit(…, layer=ID)`. Raises SourceError, StateError."""
        ...


class NewLayer:
    """A layer that is being written, over `base`. Gone when its `with` block ends without a commit."""

    def __init__(self, store: SnapshotStore, base: Snapshot, folder: str, ledger: Ledger | None = None) -> None:
        self.base = base
        self.place = f"{folder}/fs"
        """Where what the layer changes lies, in overlay form."""
        self.below = base
        """What the changes are measured against: whoever writes the layer's tar needs it to know what is new."""
        self.committed: Snapshot | None = None
        self._store = store
        self._folder = folder
        self._ledger = ledger
        self._work: Path | None = None

    @property
    def path(self) -> Path:
        """`place` as a path."""
        return Path(self.place)

    def make_work(self) -> Path:
        """The overlay's own folder, for whoever mounts the layer."""
        self._work = Path(self._folder, "work")
        self._work.mkdir(mode=0o700, exist_ok=True)
        return self._work

    def __enter__(self) -> NewLayer:
        try:
            os.mkdir(self.place)
            self._store.copy_top(self.base, self.place)
        except BaseException:
            discard(Path(self._folder))
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.committed is None:
            discard(Path(self._folder))

    def commit(self, description: str, *, layer: LayerID | None = None) -> Snapshot:
        """Makes it a layer: renamed into place, then recorded, or entered into the ledger to be recorded later. Nothing
        may be mounted over it any more.

        `layer` names one that is recorded already (it came with an image); else it gets a new name. If another process
        has just made the same one, that one stays and this is dropped.

        Returns:
            `base` with the new layer on top.

        Raises:
            StateError: if the disk is full or cannot be written to.
        """
        if self._work is not None:
            _discard_work(self._work)
        below = self.below.layers if layer is None else None
        name = layer or (new_name() if self._ledger is None else self._store.reserved_name())
        self._store.record(name, self._folder, description, below, self._ledger)
        self.committed = Snapshot((*self.base.layers, name))
        return self.committed


@frozen
class _Fetch:
    """Layers on their way."""

    layers: frozenset[LayerID]
    done: trio.Event


class SnapshotStore:
    """All layers of a state folder. What is not `async` may be used from any thread."""

    def __init__(self, state: State) -> None:
        """Raises StateError if the layers belong to another user, or to other sub-ids of this one."""
        _check_ids(state.root / _IDS)
        self._state = state
        self._layer_folder = str(state.layers)
        self._form = overlay_format()
        self._work = WorkFolder(state.work)
        self._fetcher: Fetcher | None = None
        self._fetches: list[_Fetch] = []
        self._guard = threading.Lock()
        self._names: deque[LayerID] = deque()
        self._free_mounts: list[Path] = []
        self._places: dict[tuple[tuple[str, Place], ...], Path] = {}

    @property
    def work(self) -> WorkFolder:
        """For unfinished files of this process that belong on the file system of the layers."""
        return self._work

    def layer_path(self, layer: LayerID) -> Path:
        """The folder of a layer's content; whether it is there is another question."""
        return self._state.layers / layer / "fs"

    def below(self, layer: LayerID) -> Snapshot | None:
        """What a layer's changes were measured against when it was made here; None for one that came with an image."""
        rows = self._state.query("SELECT below FROM layers WHERE id = ?", layer)
        below = rows[0][0] if rows else None
        if below is None:
            below = written_below(self._state.layers / layer)
        return None if below is None else Snapshot(tuple(map(LayerID, below.split())))

    def new_layer(self, base: Snapshot, ledger: Ledger | None = None) -> NewLayer:
        """A new layer over `base`, for writing. Its top folder looks like that of `base`, which must be here. With a
        `ledger` it is recorded when that is written.

        Raises:
            StateError: if the disk is full or cannot be written to.
        """
        return NewLayer(self, base, self._work.make_small("layer"), ledger)

    def coming_layer(self) -> NewLayer:
        """A new layer over nothing for the files that come with an image. Raises StateError as `new_layer`."""
        return NewLayer(self, Snapshot(), str(self._work.make_apart("layer")))

    @contextmanager
    def mounted(
        self, snapshot: Snapshot, writable: NewLayer | None = None, extra: Path | None = None
    ) -> Iterator[Path]:
        """A folder that shows a snapshot: read-only, or with all changes going into a new layer.

        `extra` is a folder that is laid between the two: seen, but in no layer. The result is seen in this process's
        private mount namespace only (see `engine.snapshots.namespace`). The snapshot must have been ensured.

        Raises:
            UnsupportedError: where this process may not mount, or for too many layers.
            StateError: if the disk is full or cannot be written to.
        """
        layers = self._layers(snapshot, extra)
        if self.overlay:
            with self._overlay(layers, writable) as target:
                yield target
        else:
            folder = self._work.make("copy")
            try:
                with self._copied(layers, folder, writable):
                    yield folder
            finally:
                discard(folder)

    def places(self, points: MountPoints) -> Path | None:
        """A folder with the mount points that are missing, to be laid over a snapshot; None if none are.

        Steps on like file systems miss the same ones, and share a folder: a mount never changes what it shows below.
        """
        if not points.key:
            return None
        with self._guard:
            folder = self._places.get(points.key)
            if folder is None:
                folder = self._work.make("places")
                points.write(folder)
                self._places[points.key] = folder
        return folder

    def tree(self, snapshot: Snapshot) -> Tree:
        """Read access to a snapshot without mounting it. It must have been ensured."""
        folder = self._layer_folder
        return LayeredTree([f"{folder}/{layer}/fs" for layer in snapshot.layers], self._form)

    def register_fetcher(self, fetcher: Fetcher) -> None:
        """Who brings layers that are recorded but not here."""
        self._fetcher = fetcher

    async def ensure(self, snapshot: Snapshot, progress: Progress) -> None:
        """Sees to it that all layers of a snapshot are on this disk. Layers that are on their way are waited for.

        Raises:
            SourceError: if one cannot be had.
            StateError: if one is not known at all.
        """
        import trio

        while missing := self.missing(snapshot):
            under_way = [fetch for fetch in self._fetches if fetch.layers.intersection(missing)]
            if under_way:
                await under_way[0].done.wait()
                continue
            if self._fetcher is None:
                raise StateError(f"layer {missing[0]} is not here", hint="run `bakery doctor`")
            fetch = _Fetch(frozenset(missing), trio.Event())
            self._fetches.append(fetch)
            try:
                await self._fetcher.fetch(missing, progress)
            finally:
                self._fetches.remove(fetch)
                fetch.done.set()
            if still := [layer for layer in missing if not self.layer_path(layer).exists()]:
                raise StateError(f"layer {still[0]} was fetched but is not here", hint="run `bakery doctor`")

    def missing(self, snapshot: Snapshot) -> list[LayerID]:
        """The layers that are not on this disk, the lowest first."""
        return [layer for layer in snapshot.layers if is_gone(f"{self._layer_folder}/{layer}/fs")]

    def diff(self, lower: Snapshot, upper: Snapshot) -> Snapshot:
        """What has to be laid over `lower` to get `upper`. Where `upper` continues `lower`, the layers that it adds.

        Both must have been ensured unless that is so.
        """
        if upper.layers[: len(lower.layers)] == lower.layers:
            return Snapshot(upper.layers[len(lower.layers) :])
        with self.new_layer(Snapshot()) as layer:
            layer.below = lower
            try:
                write_difference(self.tree(lower), self.tree(upper), layer.path, self._form)
            except OSError as error:
                raise StateError(f"cannot write a difference: {error.strerror}", hint=SPACE_HINT) from error
            return layer.commit("difference")

    async def size(self, snapshot: Snapshot) -> int:
        """Bytes on disk of the layers that are here."""
        marks = ",".join("?" * len(snapshot.layers))
        rows = self._state.query(f"SELECT SUM(size) FROM layers WHERE id IN ({marks})", *snapshot.layers)
        return rows[0][0] or 0

    def remove(self, layer: LayerID) -> None:
        """Forgets a layer, then deletes it. The caller knows that nothing needs it any more."""
        with self._state.transaction():
            self._state.write("DELETE FROM layers WHERE id = ?", layer)
            self._state.write("DELETE FROM layer_blobs WHERE layer = ?", layer)
            self._state.write("DELETE FROM layer_marks WHERE layer = ?", layer)
        rubbish = self._work.make("removed")
        with suppress(FileNotFoundError):  # never unpacked
            (self._state.layers / layer).rename(rubbish / "layer")
        discard(rubbish)

    def reserved_name(self) -> LayerID:
        """A new layer's name that is in this process's lease: a collector takes away what is neither recorded nor in
        use. Raises StateError."""
        with self._guard:
            if not self._names:
                # Those of one row are neighbours in the database, which is written by pages.
                first = os.urandom(7).hex()
                names = [LayerID(f"{first}{number:02x}") for number in range(_NAMES)]
                with self._state.lease.taking():
                    self._state.lease.hold(names)
                self._names.extend(names)
            return self._names.popleft()

    def record(
        self,
        layer: LayerID,
        folder: str,
        description: str,
        below: Sequence[LayerID] | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Renames a finished layer into place and records it; what `NewLayer.commit` does."""
        measured = self._put_in_place(layer, folder)
        now = time.time()
        own = ledger or Ledger(self._state)
        own.enter(
            (_RECORD, (layer, measured.size, now, now, description, None if below is None else " ".join(below))),
            (_MARK, (layer, measured.mark)),
        )
        if ledger is None:
            own.write()

    def _put_in_place(self, layer: LayerID, folder: str) -> Measured:
        measured = measure(folder)
        place = f"{self._layer_folder}/{layer}"
        try:
            try:
                os.rename(folder, place)
            except OSError:
                if self.layer_path(layer).exists() or not os.path.isdir(place):
                    raise
                discard(Path(place))  # somebody has taken away what was in it
                os.rename(folder, place)
        except OSError as error:
            if not self.layer_path(layer).exists():
                raise StateError(f"cannot keep a layer: {error.strerror}", hint=SPACE_HINT) from error
            discard(Path(folder))
            measured = measure(place)
        return measured

    def close(self) -> None:
        """Removes this process's unfinished work."""
        with self._guard:
            self._free_mounts.clear()
            self._places.clear()
        self._work.close()

    @cached_property
    def overlay(self) -> bool:
        """Whether overlay mounts work here; otherwise snapshots are copied."""
        from engine.snapshots.overlay import overlay_works

        return overlay_works(self._work.make("probe"), self._form)

    @contextmanager
    def _overlay(self, layers: list[Path], writable: NewLayer | None) -> Iterator[Path]:
        from engine.snapshots import namespace
        from engine.snapshots.kernel import unmount
        from engine.snapshots.overlay import mount_overlay

        scratch = self._free_mount()
        target = scratch / "root"
        try:
            upper = (writable.path, writable.make_work()) if writable else None
            mount_overlay(target, layers, self._form, scratch, upper)
        except OSError as error:
            hint = disk_hint(error, "run `bakery doctor`")
            raise StateError(f"cannot mount a snapshot: {error.strerror}", hint=hint) from error
        try:
            yield target
        finally:
            namespace.enter()  # this may be another thread than the one that mounted
            unmount(target)
            with self._guard:
                self._free_mounts.append(scratch)

    def _free_mount(self) -> Path:
        """A folder with a `root` to mount on: one that was used before, if there is one."""
        with self._guard:
            if self._free_mounts:
                return self._free_mounts.pop()
        scratch = self._work.make("mount")
        (scratch / "root").mkdir()
        return scratch

    @contextmanager
    def _copied(self, layers: list[Path], target: Path, writable: NewLayer | None) -> Iterator[None]:
        from engine.snapshots.copying import materialise, take_changes

        shown = LayeredTree([*layers, writable.path] if writable else layers, self._form)
        materialise(shown, target)
        yield
        if writable:
            take_changes(LayeredTree(layers, self._form), target, writable.path, self._form)

    def _layers(self, snapshot: Snapshot, extra: Path | None) -> list[Path]:
        layers = [self.layer_path(layer) for layer in snapshot.layers]
        return [*layers, extra] if extra else layers

    def copy_top(self, base: Snapshot, folder: str) -> None:
        """The top of a mount is the upper folder itself, so it must look like what lies below."""
        if not base.layers:
            os.chmod(folder, 0o755)
            return
        below = f"{self._layer_folder}/{base.layers[-1]}/fs"
        info = os.lstat(below)
        os.chown(folder, info.st_uid, info.st_gid)
        os.chmod(folder, info.st_mode & 0o7777)
        for name in os.listxattr(below):
            if not self._form.is_mark(name):
                os.setxattr(folder, name, os.getxattr(below, name))
        os.utime(folder, ns=(info.st_mtime_ns, info.st_mtime_ns))


def written_below(folder: Path) -> str | None:
    """What the layers below are by the file that state folders of format 1 have in a layer's folder."""
    try:
        return (folder / _BELOW).read_text()
    except FileNotFoundError:
        return None


def new_name() -> LayerID:
    """A layer's name that nobody has."""
    return LayerID(os.urandom(8).hex())


def _discard_work(folder: Path) -> None:
    """The overlay's own folder, in which the kernel has left an empty one if there was a mount at all."""
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return  # there was no mount
    except OSError:
        try:
            os.rmdir(folder / "work")
            os.rmdir(folder)
        except OSError:
            discard(folder)


def _check_ids(file: Path) -> None:
    if not user_namespace.privileged():
        return  # there will be no layers
    mine = user_namespace.identity()
    while not file.exists():
        # Complete before it has its name, for several processes may make a folder at the same moment.
        new = file.with_name(f".{file.name}-{os.getpid()}-{os.urandom(4).hex()}")
        new.write_text(mine)
        with suppress(FileExistsError):
            os.link(new, file)
        new.unlink()
    theirs = file.read_text()
    if theirs != mine:
        raise StateError(
            f"the layers in {file.parent} were written with other user ids ({theirs}) than there are now ({mine})",
            hint="work as the user who wrote them, or set BAKERY_ROOT to another folder",
        )


def disk_usage(folder: Path) -> int:
    """Bytes that a folder takes on the disk; a file with several names counts once."""
    total, seen, rest = 0, set[int](), [str(folder)]
    while rest:
        with os.scandir(rest.pop()) as entries:
            for entry in entries:
                info = entry.stat(follow_symlinks=False)
                if info.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                    if info.st_ino in seen:
                        continue
                    seen.add(info.st_ino)
                total += info.st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    rest.append(entry.path)
    return total
