"""The state folder for commands that look into it or clear it up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from bakery.cli.apply_settings import state_folder
from engine.errors import StateError
from engine.state import State, spend_spare

F = TypeVar("F", bound=Callable[..., Any])


def root_option(command: F) -> F:
    """Decorate a command with `--root`."""
    return click.option("root", "--root", metavar="DIR", envvar="BAKERY_ROOT", help="The state folder.")(command)


@contextmanager
def open_state(root: str | None) -> Iterator[State]:
    """The state folder that a flag, the environment or the settings name; what was found damaged in it is told.

    Whoever is not root sees the files of the steps' users as theirs only in a user namespace, so we go there.

    Raises:
        BakeryError, StateError: for settings that make no sense, or a folder that cannot be used.
    """
    from engine.snapshots import user_namespace

    folder = state_folder(root)
    user_namespace.enter()
    try:
        state = State.open(folder)
    except StateError:
        if not spend_spare(folder):
            raise
        state = State.open(folder)
    try:
        yield state
    finally:
        for sentence in state.found:
            click.echo(f"WARNING: {sentence}", err=True)
        state.close()
