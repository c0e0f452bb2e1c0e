"""Cache keys as a graph that can be asked and added to: what a config says in numbers, several configs become one.

An item is known by its digest and by what its inputs may be. It is found, as BuildKit finds it, one input at a time:
the items that some alternative of the input leads to, and of these those that all inputs lead to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engine.cache.remote.blobs import CacheBlob, facts_of
from engine.cache.remote.config import CacheConfig, CacheLayer, CacheLink, CacheRecord, CacheResult, MountContent
from engine.digests import Digest, sha256
from engine.exporters.gotime import nanoseconds
from engine.values import frozen


def output_key(op: Digest, index: int) -> Digest:
    """The digest of the record of one output of an op, or of a source, with this cache digest."""
    return sha256(f"{op}@{index}".encode())


def content_record(checksum: Digest) -> Digest:
    """The digest of the record of some content, whatever made it."""
    return sha256(f"{checksum}@-1".encode())


@frozen
class Remote:
    """A result that is somewhere else: its layers' blobs, the lowest first, and when it was made (RFC 3339)."""

    blobs: tuple[CacheBlob, ...]
    created: str


def newest(results: Iterable[Remote]) -> Remote | None:
    """The result that was made last."""
    return max(results, key=lambda remote: nanoseconds(remote.created), default=None)


@dataclass(eq=False, slots=True)
class Item:
    """One cache key. `parents` holds for each input what it may be; `results` what is known under the key."""

    digest: Digest
    parents: list[dict[Link, None]] = field(default_factory=list)
    children: dict[tuple[int, str, Digest], dict[Item, None]] = field(default_factory=dict)
    results: list[Remote] = field(default_factory=list)

    def best(self) -> Remote | None:
        """The newest result."""
        return newest(self.results)


@frozen
class Link:
    """An alternative for an input: an item, seen through a selector."""

    item: Item
    selector: str = ""


class Chains:
    """A graph of items."""

    def __init__(self) -> None:
        self._roots: dict[Digest, Item] = {}
        self._items: dict[Item, None] = {}
        self.mounts: dict[str, CacheBlob] = {}
        """What cache mounts hold, by their ID."""

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def root(self, digest: Digest) -> Item | None:
        """The item without inputs that has this digest."""
        return self._roots.get(digest)

    def find(self, digest: Digest, inputs: Sequence[Iterable[Link]]) -> list[Item]:
        """The items of this digest that every input leads to by one of its alternatives."""
        found: dict[Item, None] | None = None
        for number, links in enumerate(inputs):
            led = {
                item: None
                for link in links
                for item in link.item.children.get((number, link.selector, digest), ())
                if len(item.parents) == len(inputs)
            }
            found = led if found is None else {item: None for item in found if item in led}
            if not found:
                return []
        return list(found or ())

    def add(self, digest: Digest, inputs: Sequence[Sequence[Link]], results: Iterable[Remote] = ()) -> Item:
        """Adds what is known of a key to the item that has it, or to a new one; each input needs an alternative."""
        item = self._item(digest, inputs)
        for number, links in enumerate(inputs):
            for link in links:
                if link not in item.parents[number] and not self._leads(item, link.item):
                    item.parents[number][link] = None
                    link.item.children.setdefault((number, link.selector, digest), {})[item] = None
        item.results += [result for result in results if result not in item.results]
        return item

    def _item(self, digest: Digest, inputs: Sequence[Sequence[Link]]) -> Item:
        known = self._roots.get(digest) if not inputs else next(iter(self.find(digest, inputs)), None)
        if known is not None:
            return known
        item = Item(digest, [{} for _ in inputs])
        self._items[item] = None
        if not inputs:
            self._roots[digest] = item
        return item

    def _leads(self, start: Item, end: Item) -> bool:
        """Whether `end` is made with `start`: then it cannot be an input of it."""
        seen, rest = {start}, [start]
        while rest:
            item = rest.pop()
            if item is end:
                return True
            new = [child for group in item.children.values() for child in group if child not in seen]
            seen.update(new)
            rest += new
        return False

    def absorb(self, other: Chains) -> None:
        """Adds all that another graph knows."""
        copies: dict[Item, Item] = {}
        for item in other.in_order():
            inputs = [[Link(copies[link.item], link.selector) for link in links] for links in item.parents]
            copies[item] = self.add(item.digest, inputs, item.results)
        self.mounts.update(other.mounts)

    def add_config(self, config: CacheConfig, blobs: Mapping[Digest, CacheBlob]) -> None:
        """Adds all records of a config. Results whose blobs are not all among `blobs` are left out."""
        items: dict[int, Item] = {}
        for number in _in_order(config.records):
            record = config.records[number]
            inputs = [[Link(items[link.record], link.selector) for link in links] for links in record.inputs]
            items[number] = self.add(record.digest, inputs, _remotes(config, record, blobs))
        self.mounts.update({mount.cache: blobs[mount.blob] for mount in config.mounts if mount.blob in blobs})

    def config(self) -> tuple[CacheConfig, list[CacheBlob]]:
        """The graph as a config, the same for the same graph, and the blobs of its layers in their order."""
        layers = _Layers(remote for item in self._items if (remote := item.best()) and remote.blobs)
        names = self._names()
        order = sorted(self._items, key=lambda item: (item.digest, names[item]))
        numbers = {item: number for number, item in enumerate(order)}
        records = []
        for item in order:
            inputs = tuple(
                tuple(sorted((CacheLink(numbers[k.item], k.selector) for k in links), key=lambda c: c.record))
                for links in item.parents
            )
            best = item.best()
            results = (CacheResult(layers.numbers(best), best.created),) if best and best.blobs else ()
            records.append(CacheRecord(item.digest, inputs, results))
        mounts = (MountContent(cache, b.descriptor.digest, facts_of(b)) for cache, b in sorted(self.mounts.items()))
        return CacheConfig(layers.layers, tuple(records), tuple(mounts)), layers.blobs

    def _names(self) -> dict[Item, Digest]:
        """A name for each item that says all it is made of, so that the order does not hang on how it was built."""
        names: dict[Item, Digest] = {}
        for item in self.in_order():
            links = [sorted(f"{names[k.item]} {k.selector}" for k in links) for links in item.parents]
            names[item] = sha256(
                "\n".join([item.digest, *(f"{n} {k}" for n, i in enumerate(links) for k in i)]).encode()
            )
        return names

    def in_order(self) -> Iterator[Item]:
        """The items, inputs before what uses them."""
        waiting = {item: len({link.item for links in item.parents for link in links}) for item in self._items}
        ready = [item for item, count in waiting.items() if not count]
        while ready:
            item = ready.pop()
            yield item
            for user in {user: None for group in item.children.values() for user in group}:
                waiting[user] -= 1
                if not waiting[user]:
                    ready.append(user)

    def without(self, dropped: Iterable[Remote]) -> Chains:
        """The same graph less some results, and less the items that then lead to no result any more."""
        gone = set(dropped)
        kept = Chains()
        kept.mounts.update(self.mounts)
        copies: dict[Item, Item] = {}
        useful = self._useful(gone)
        for item in self.in_order():
            if item in useful:
                inputs = [
                    [Link(copies[k.item], k.selector) for k in links if k.item in copies] for links in item.parents
                ]
                copies[item] = kept.add(item.digest, inputs, [r for r in item.results if r not in gone])
        return kept

    def _useful(self, gone: set[Remote]) -> set[Item]:
        rest = [item for item in self._items if any(result not in gone for result in item.results)]
        useful = set(rest)
        while rest:
            new = {link.item for links in rest.pop().parents for link in links} - useful
            useful |= new
            rest += new
        return useful


def _in_order(records: Sequence[CacheRecord]) -> Iterator[int]:
    """The numbers of records, inputs first. There are no cycles."""
    done: set[int] = set()
    for start in range(len(records)):
        stack = [start]
        while stack:
            number = stack[-1]
            missing = [k.record for links in records[number].inputs for k in links if k.record not in done]
            if number in done or not missing:
                stack.pop()
                if number not in done:
                    done.add(number)
                    yield number
            else:
                stack += missing


def _remotes(config: CacheConfig, record: CacheRecord, blobs: Mapping[Digest, CacheBlob]) -> Iterator[Remote]:
    for result in record.results:
        digests = [config.layers[number].blob for number in result.layers]
        if all(digest in blobs for digest in digests):
            yield Remote(tuple(blobs[digest] for digest in digests), result.created)


class _Layers:
    """The layers of all results, numbered in the order of their blobs."""

    def __init__(self, remotes: Iterable[Remote]) -> None:
        known: dict[tuple[Digest, ...], CacheBlob] = {}
        for remote in remotes:
            digests = tuple(blob.descriptor.digest for blob in remote.blobs)
            for end in range(len(digests), 0, -1):
                if digests[:end] in known:
                    break
                known[digests[:end]] = remote.blobs[end - 1]
        order = sorted(known, key=lambda chain: (chain[-1], chain))
        self._numbers = {chain: number for number, chain in enumerate(order)}
        self.layers = tuple(CacheLayer(c[-1], self._numbers[c[:-1]] if c[:-1] else -1) for c in order)
        self.blobs = [known[chain] for chain in order]

    def numbers(self, remote: Remote) -> tuple[int, ...]:
        """The numbers of a result's layers, the lowest first."""
        digests = tuple(blob.descriptor.digest for blob in remote.blobs)
        return tuple(self._numbers[digests[: end + 1]] for end in range(len(digests)))
