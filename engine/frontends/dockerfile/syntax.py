"""Which frontend a Dockerfile is written for: the `# syntax=` line, or the build argument BUILDKIT_SYNTAX.

One is built in, whatever version is named: Docker's own, from any registry. Its labs channel has what is not settled
yet, which a Dockerfile has to ask for.
"""

from __future__ import annotations

from engine.errors import UnsupportedError
from engine.frontends.dockerfile import directives
from engine.frontends.dockerfile.lower import reference
from engine.frontends.dockerfile.source import Source

ARGUMENT = "BUILDKIT_SYNTAX"
LABS_LINE = "# syntax=docker/dockerfile:1-labs"
# Mirrors keep the last parts of the path: `registry.example/hub/docker/dockerfile:1` is this frontend as well.
_OWN = ("/docker/dockerfile", "/docker/dockerfile-upstream")
_LABS = "labs"
_OLD_LABS = "experimental"  # what the channel was called up to 1.2


def wants_labs(source: Source, argument: str) -> bool:
    """Whether a Dockerfile asks for the labs channel.

    Args:
        source: the Dockerfile.
        argument: what the build argument says instead, if anything.

    Raises:
        UnsupportedError: if it is written for another frontend than this one, naming it.
    """
    directive = directives.find_syntax(source.data)
    wanted = argument.split(" ", 1)[0] or (directive.value.split(" ", 1)[0] if directive else "")
    if not wanted:
        return False
    try:
        name = reference.parse(wanted)
    except reference.BadReference:
        name = None
    if name is None or not f"/{name.path}".endswith(_OWN):
        drop = f"leave out the build argument {ARGUMENT}" if argument else "remove the syntax line"
        places = (source.place(directive.line, directive.line),) if directive and not argument else ()
        raise UnsupportedError(
            f"the Dockerfile wants the frontend {wanted}, and only docker/dockerfile is built in",
            places=places,
            hint=f"{drop} if this is an ordinary Dockerfile; else build this target with BuildKit",
        )
    return name.tag.rpartition("-")[2] in (_LABS, _OLD_LABS)
