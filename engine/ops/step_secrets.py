"""Reading the secrets and finding the agents that a step may use. Values go into the step and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from engine.errors import StepError
from engine.request import Secret, SSHAgent

MAX_SECRET = 500 << 10
"""Bytes; BuildKit's limit."""


def secret_value(secrets: Mapping[str, Secret], id: str, optional: bool) -> bytes | None:
    """The value of a secret, None if it is not there and need not be.

    A secret that is to come from a variable which is not set is not there. (For BuildKit it is there and empty, which
    makes a required secret that nobody gave look like one that was given.)

    Raises:
        StepError: if it must be there and is not, cannot be read, or is too long.
    """
    secret = secrets.get(id)
    if secret is None:
        if optional:
            return None
        raise StepError(f"secret {id}: not found", hint=f"give it with --secret id={id},src=FILE or id={id},env=NAME")
    value = _read(secret)
    if value is None:
        if optional:
            return None
        problem = f"secret {id}: not found, for the environment variable {secret.env} is not set"
        raise StepError(problem, hint=f"set {secret.env}, or leave out `required`")
    if len(value) > MAX_SECRET:
        raise StepError(f"secret {id} is longer than {MAX_SECRET >> 10} KiB")
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


def _read(secret: Secret) -> bytes | None:
    if secret.env is not None:
        return os.environb.get(os.fsencode(secret.env))
    if secret.path is None:
        raise StepError(f"secret {secret.id} has neither a file nor a variable")
    try:
        with secret.path.open("rb") as file:
            return file.read(MAX_SECRET + 1)
    except OSError as error:
        raise StepError(f"secret {secret.id}: cannot read {secret.path}: {error.strerror}") from error
