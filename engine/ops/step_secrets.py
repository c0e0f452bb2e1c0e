"""Finding the secrets and agents that a step may use. Values go into the step and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.errors import StepError
from engine.ops.context import StepContext
from engine.request import SSHAgent


async def secret_value(context: StepContext, id: str, optional: bool) -> bytes | None:
    """The value of a secret, None if it is not there and need not be.

    A secret that is to come from a variable which is not set is not there. (For BuildKit it is there and empty, which
    makes a required secret that nobody gave look like one that was given.)

    Raises:
        StepError: if it must be there and is not, cannot be read, or is too long.
    """
    secret = context.secrets.get(id)
    if secret is None:
        if optional:
            return None
        raise StepError(f"secret {id}: not found", hint=f"give it with --secret id={id},src=FILE or id={id},env=NAME")
    value = await context.reader.read(secret)
    if value is None:
        if optional:
            return None
        problem = f"secret {id}: not found, for the environment variable {secret.env} is not set"
        raise StepError(problem, hint=f"set {secret.env}, or leave out `required`")
    return value


def agent_paths(agents: Mapping[str, SSHAgent], id: str, optional: bool) -> tuple[Path, ...] | None:
    """The sockets or keys of an agent (none at all: the user's own), None if nobody gave it and it need not be there.

    Raises:
        StepError: if it must be there and is not.
    """
    agent = agents.get(id)
    if agent is not None:
        return agent.paths
    if optional:
        return None
    raise StepError(f'no SSH key "{id}" forwarded from the client', hint=f"give it with --ssh {id} or --ssh {id}=FILE")
