"""Keys as a graph: found one input at a time, the same config for the same graph, several caches as one."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from engine import oci
from engine.cache.remote.blobs import CacheBlob
from engine.cache.remote.chains import Chains, Item, Link, Remote
from engine.cache.remote.config import config_bytes, parse_config
from engine.cache.remote.exporting import KEPT_FOR, merge
from engine.digests import Digest, sha256
from engine.exporters.gotime import format_time


def key(name: str) -> Digest:
    return sha256(name.encode())


def result(*names: str, at: float = 0.0) -> Remote:
    blobs = tuple(CacheBlob(oci.Descriptor(oci.OCI_LAYER_GZIP, key(name), 1), key("tar " + name)) for name in names)
    return Remote(blobs, format_time(at))


def test_an_item_is_found_by_what_all_its_inputs_lead_to() -> None:
    chains = Chains()
    base, content = chains.add(key("base"), []), chains.add(key("content"), [])
    other = chains.add(key("other"), [])
    copy = chains.add(key("copy"), [[Link(base)], [Link(content)]])
    chains.add(key("copy"), [[Link(other)], [Link(content)]])
    assert chains.find(key("copy"), [[Link(base)], [Link(content)]]) == [copy]
    assert chains.find(key("copy"), [[Link(base)], [Link(other)]]) == []
    assert chains.find(key("copy"), [[Link(base, "selected")], [Link(content)]]) == []
    assert chains.find(key("run"), [[Link(base)]]) == []


def test_a_record_with_more_inputs_than_the_step_has_is_no_hit() -> None:
    chains = Chains()
    base, other = chains.add(key("base"), []), chains.add(key("other"), [])
    chains.add(key("run"), [[Link(base)], [Link(other)]], [result("from nowhere")])
    assert chains.find(key("run"), [[Link(base)]]) == []


def test_alternatives_become_known_by_being_used_together() -> None:
    chains = Chains()
    stage, content = chains.add(key("stage"), []), chains.add(key("content"), [])
    first = chains.add(key("copy"), [[Link(stage, "/out")]])
    again = chains.add(key("copy"), [[Link(stage, "/out"), Link(content)]])
    assert again is first
    assert chains.find(key("copy"), [[Link(content)]]) == [first]


def test_an_item_never_becomes_its_own_input() -> None:
    chains = Chains()
    base = chains.add(key("base"), [])
    first = chains.add(key("run"), [[Link(base)]])
    second = chains.add(key("run"), [[Link(first)]])
    assert chains.add(key("run"), [[Link(base), Link(second)]]) is first
    assert len(list(chains.in_order())) == 3


@given(st.integers(0, 2**32))
def test_the_config_of_a_graph_does_not_hang_on_how_it_was_built(seed: int) -> None:
    chance = random.Random(seed)
    chains, items = Chains(), list[Item]()
    for number in range(chance.randrange(1, 12)):
        inputs = [[Link(chance.choice(items))] for _ in range(chance.randrange(3))] if items else []
        made = [result(*map(str, range(chance.randrange(1, 4))), at=number)] if inputs else []
        items.append(chains.add(key(f"op {chance.randrange(4)}" if inputs else f"root {number}"), inputs, made))
    config, blobs = chains.config()
    again = Chains()
    again.add_config(parse_config(config_bytes(config)), {blob.descriptor.digest: blob for blob in blobs})
    assert again.config() == (config, blobs)
    copy = Chains()
    copy.absorb(chains)
    assert copy.config() == (config, blobs)


def test_jobs_that_export_to_one_name_do_not_undo_each_other() -> None:
    now = 10 * KEPT_FOR
    mine, theirs = Chains(), Chains()
    for chains, name in ((mine, "mine"), (theirs, "theirs")):
        base = chains.add(key("base"), [])
        shared = chains.add(key("shared"), [[Link(base)]], [result("base", f"shared of {name}", at=now - 5)])
        chains.add(key(name), [[Link(shared)]], [result("base", f"shared of {name}", name, at=now - 5)])
    both = merge(mine, theirs, now)
    found = {item.digest: [blob.descriptor.digest for blob in best.blobs] for item in both if (best := item.best())}
    assert found[key("mine")] == [key("base"), key("shared of mine"), key("mine")]
    assert found[key("theirs")] == [key("base"), key("shared of theirs"), key("theirs")]
    assert found[key("shared")] == [key("base"), key("shared of mine")], "of one key the build's own result stays"


def test_old_results_of_others_are_forgotten_with_what_only_they_needed() -> None:
    now = 10 * KEPT_FOR
    mine, theirs = Chains(), Chains()
    mine.add(key("mine"), [[Link(mine.add(key("base"), []))]], [result("mine", at=0)])
    old = theirs.add(key("old base"), [])
    theirs.add(key("old"), [[Link(old)]], [result("old", at=now - KEPT_FOR - 1)])
    theirs.add(key("new"), [[Link(theirs.add(key("new base"), []))]], [result("new", at=now - 1)])
    both = merge(mine, theirs, now)
    assert {item.digest for item in both} == {key(name) for name in ("mine", "base", "new", "new base")}


def test_a_cache_stays_small_enough_for_buildkit() -> None:
    now = 10 * KEPT_FOR
    mine, theirs = Chains(), Chains()
    mine.add(key("mine"), [[Link(mine.add(key("base"), []))]], [result("mine", at=0)])
    base = theirs.add(key("base"), [])
    for number in range(1000):
        theirs.add(key(f"step {number}"), [[Link(base)]], [result(f"layer {number}", at=now - number)])
    both = merge(mine, theirs, now)
    kept = {item.digest for item in both}
    assert key("mine") in kept
    assert key("step 0") in kept, "the newest stay"
    assert key("step 999") not in kept
    assert len(both.config()[1]) <= 500
