"""In which order the actions of a file op are done, and which of them share a layer.

An action works on what an earlier one made. Actions in a row go into one layer, as long as nobody else needs what is
in between: neither as an output nor as a source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from engine.errors import DefinitionError
from engine.llb.ops import SCRATCH, FileAction, UserOpt
from engine.ops.file.identity import body_of
from engine.values import frozen


@frozen
class Chain:
    """Actions (by their index) that go into one layer over `base`, an index as the actions use them."""

    base: int
    actions: tuple[int, ...]


def chains(actions: Sequence[FileAction], inputs: int) -> list[Chain]:
    """The layers to make, each after those that it needs.

    Raises:
        DefinitionError: if an index names nothing, or the actions wait for each other.
    """
    for action in actions:
        for index in _needs(action):
            if not SCRATCH <= index < inputs + len(actions):
                raise DefinitionError(f"a file action names input {index} of {inputs + len(actions)}")
    if len(actions) == 1:
        if actions[0].input >= inputs:
            raise DefinitionError("the actions of a file op wait for each other")
        return [Chain(actions[0].input, (0,))]
    uses = Counter(index for action in actions for index in _needs(action))
    sealed = {inputs + i for i, action in enumerate(actions) if action.output >= 0 or uses[inputs + i] > 1}
    sealed |= {index for action in actions for index in _needs(action) if index != action.input}
    out: list[Chain] = []
    for i in _order(actions, inputs):
        previous = actions[i].input
        if previous >= inputs and previous not in sealed:
            at = next(n for n, chain in enumerate(out) if chain.actions[-1] == previous - inputs)
            chain = out.pop(at)
            out.append(Chain(chain.base, (*chain.actions, i)))
        else:
            out.append(Chain(previous, (i,)))
    return out


def outputs(actions: Sequence[FileAction]) -> list[int]:
    """Which action makes each output. Raises DefinitionError if one is missing or made twice."""
    made = {action.output: i for i, action in enumerate(actions) if action.output >= 0}
    given = [action.output for action in actions if action.output >= 0]
    if not given or sorted(given) != list(range(len(given))):
        raise DefinitionError(f"the outputs of a file op must be numbered from 0, each once: {given}")
    return [made[number] for number in range(len(given))]


def _order(actions: Sequence[FileAction], inputs: int) -> list[int]:
    """The actions, each after those that it needs; in the order given wherever that is free."""
    done: dict[int, None] = {}
    rest = dict.fromkeys(range(len(actions)))
    while rest:
        ready = [i for i in rest if all(n < inputs or n - inputs in done for n in _needs(actions[i]))]
        if not ready:
            raise DefinitionError("the actions of a file op wait for each other")
        done[ready[0]] = rest.pop(ready[0])
    return list(done)


def _needs(action: FileAction) -> Iterator[int]:
    yield action.input
    if action.copy is not None:
        yield action.secondary_input
    owner = getattr(body_of(action), "owner", None)
    for user in (owner.user, owner.group) if owner is not None else ():
        if isinstance(user, UserOpt) and user.by_name is not None and user.by_name.input >= 0:
            yield user.by_name.input
