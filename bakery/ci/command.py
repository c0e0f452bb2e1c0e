"""What a job runs: `bakery build`, with what `bakery ci` was told and the shared cache."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from bakery.diagnostics import BakeryError
from bakery.values import frozen

if TYPE_CHECKING:
    from bakery.config.request import LoadRequest


@frozen
class SharedCache:
    """The cache that all jobs read, and write together: `gha` with a scope, or `registry` with a reference.

    A reference may hold variables of the CI (`$CI_REGISTRY_IMAGE/cache`), which its shell fills in.
    """

    type: str
    name: str

    @property
    def place(self) -> str:
        """What both directions say."""
        return f"type={self.type},{'scope' if self.type == 'gha' else 'ref'}={self.name}"

    def reading(self) -> str:
        """The arguments to read it, for a shell. Targets keep the caches that they have."""
        return f"--set {shell_text(f'*.cache-from+={self.place}')}"

    def writing(self) -> str:
        """The arguments to write it. Without it a build is slower, but no less right: an error there is a warning."""
        return f"--set {shell_text(f'*.cache-to+={self.place},mode=max,ignore-error=true')}"


def shell_text(text: str) -> str:
    """A text as a word of a shell, in which only variables are filled in."""
    if "$" not in text:
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`").replace("$(", "\\$(")
    return f'"{escaped}"'


def given(request: LoadRequest, *, locked: bool) -> str:
    """The arguments that `bakery ci` was given about the definition, for the shell of a job; empty without any.

    Raises:
        BakeryError: for one of several lines, which has no place in a workflow.
    """
    options = [
        ("-f", request.files),
        ("--set", request.overrides),
        ("--var", request.variables),
        ("--env-file", request.env_files),
        ("--allow", request.allow),
    ]
    for flag, texts in options:
        if any("\n" in text for text in texts):
            raise BakeryError.of(f"a value of {flag} has several lines", hint="put it into a file, for --env-file")
    words = [f"{flag} {shlex.quote(text)}" for flag, texts in options for text in texts]
    return " ".join([*words, "--locked"] if locked else words)


def joined(*parts: str) -> str:
    """Parts of a command, without those that are empty."""
    return " ".join(part for part in parts if part)
