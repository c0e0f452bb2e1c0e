"""The options of `bakery build` and what they ask of the bake files. Names and defaults follow `docker buildx bake`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import click

from bakery.config.request import LoadRequest
from bakery.values import frozen

F = TypeVar("F", bound=Callable[..., Any])

PROGRESS_MODES = ("auto", "none", "plain", "quiet", "rawjson", "tty")
ON_ERROR = ("keep-going", "fail-fast", "publish-all-or-nothing")
STEP_NETWORKS = ("shared", "private")
CALLS = ("build", "check", "outline", "targets")

_DEFINITION = (
    click.option("files", "-f", "--file", multiple=True, metavar="FILE", help="Definition file; `-` is stdin."),
    click.option("overrides", "--set", multiple=True, metavar="TARGET.KEY=VALUE", help="Override a target's value."),
    click.option("variables", "--var", multiple=True, metavar="NAME=VALUE", help="Set a variable."),
    click.option("env_files", "--env-file", multiple=True, metavar="FILE", help="Read more variables from a file."),
    click.option("strict", "--strict/--no-strict", default=None, help="Make unknown blocks and attributes errors."),
    click.option(
        "relative_to_file",
        "--file-relative-paths/--cwd-relative-paths",
        default=None,
        help="Where relative contexts start: the bake file's folder, or the working folder.",
    ),
)

_SHOW = (
    click.option("print_only", "--print", is_flag=True, help="Print the resolved targets as JSON and stop."),
    click.option("listing", "--list", metavar="TYPE", help="List `targets` or `variables` and stop."),
    click.option("list_targets", "--list-targets", is_flag=True, hidden=True),
    click.option("list_variables", "--list-variables", is_flag=True, hidden=True),
    click.option("call", "--call", metavar="METHOD", default="", help=f"What to ask of targets: {', '.join(CALLS)}."),
    click.option("check", "--check", is_flag=True, help="Short for `--call=check`."),
    click.option("fingerprints", "--fingerprints", is_flag=True, hidden=True),
)

_WATCH = (
    click.option("watch", "--watch", is_flag=True, help="Build again what a saved file affects."),
    click.option("only", "--only", multiple=True, hidden=True),  # what a watch builds of its targets
)

_RESULT = (
    click.option("push", "--push", is_flag=True, help="Push images to their registry."),
    click.option("load", "--load", is_flag=True, help="Load images into the local image store."),
    click.option("sbom", "--sbom", metavar="VALUE", default="", help="Attach an SBOM: true, false or attributes."),
    click.option("provenance", "--provenance", metavar="VALUE", default="", help="Attach provenance likewise."),
    click.option("metadata_file", "--metadata-file", metavar="FILE", help="Write the results' digests to a file."),
    click.option("junit", "--junit", metavar="FILE", help="Write a JUnit report, one case for each target."),
)

_KEYS = (
    click.option("no_cache", "--no-cache", metavar="[=BOOL]", is_flag=False, flag_value="true", help="Use no cache."),
    click.option("pull", "--pull", metavar="[=BOOL]", is_flag=False, flag_value="true", help="Ask for newer images."),
    click.option("locked", "--locked", is_flag=True, help="Use exactly the images, commits and files in bakery.lock."),
    click.option("allow", "--allow", multiple=True, metavar="GRANT", help="Grant network.host, ssh, fs.read=PATH, …"),
    click.option("policy", "--policy", multiple=True, metavar="VALUE", help="Policy: disabled, strict=…, log-level=…"),
)

_ENGINE = (
    click.option("root", "--root", metavar="DIR", envvar="BAKERY_ROOT", help="The state folder."),
    click.option(
        "runtime", "--runtime", metavar="NAME", default="", help="What runs steps: native, bubblewrap, crun, runc."
    ),
    click.option(
        "step_network",
        "--step-network",
        metavar="NET",
        type=click.Choice(STEP_NETWORKS),
        help="The network of steps: shared with this machine, or private (needs passt or slirp4netns).",
    ),
)


def _seconds(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """A time such as `90`, `90s`, `1h30m`, in seconds."""
    if text is None:
        return None
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text)
    if parts is None or not any(parts.groups()):
        raise click.BadParameter(f"{text}: expected a time such as 90s, 30m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    return hours * 3600 + minutes * 60 + seconds


_RUN = (
    click.option("jobs", "-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Steps that may run at once."),
    click.option(
        "jobs_per_target", "--jobs-per-target", type=click.IntRange(min=1), metavar="N", help="… and of one target."
    ),
    click.option(
        "on_error",
        "--on-error",
        type=click.Choice(ON_ERROR),
        help="When a target fails: build the others (usual), cancel them, or build them but publish nothing.",
    ),
    click.option(
        "progress",
        "--progress",
        type=click.Choice(PROGRESS_MODES),
        envvar="BUILDKIT_PROGRESS",
        help="How to show progress; auto if nothing is set.",
    ),
    click.option("timeout", "--timeout", metavar="TIME", callback=_seconds, help="End the build after 90s, 30m, 2h."),
    click.option("step_timeout", "--step-timeout", metavar="TIME", callback=_seconds, help="End each step after it."),
    click.option("debug_on_error", "--debug-on-error", is_flag=True, help="Open a shell where a step fails."),
    click.option("builder", "--builder", metavar="NAME", help="Accepted for compatibility; bakery has its own engine."),
    click.option("debug", "-D", "--debug", is_flag=True, help="Show more when something goes wrong."),
)


def build_options(command: F) -> F:
    """Decorate a command with every option that says what to build and how, and the names of targets."""
    return _decorate(_targets(command), (*_DEFINITION, *_SHOW, *_RESULT, *_WATCH, *_KEYS, *_ENGINE, *_RUN))


def lower_options(command: F) -> F:
    """Decorate a command that lowers targets without building them."""
    return _decorate(_targets(command), (*_DEFINITION, *_KEYS, *_ENGINE))


def debug_options(command: F) -> F:
    """Decorate a command that builds one target to look into it."""
    return _decorate(command, (*_DEFINITION, *_KEYS, *_ENGINE))


def definition_options(command: F) -> F:
    """Decorate a command that only reads what the bake files declare."""
    return _decorate(command, _DEFINITION)


def _targets(command: F) -> F:
    from bakery.cli.completion import complete_target

    metavar = "[URL [CONTEXT_URL]] [TARGET]..."
    return click.argument("names", nargs=-1, metavar=metavar, shell_complete=complete_target)(command)


def _decorate(command: F, options: Iterable[Callable[[F], F]]) -> F:
    for option in reversed(list(options)):
        command = option(command)
    return command


@frozen
class ListRequest:
    """What `--list` asks for: `targets` or `variables`, as a table or JSON."""

    what: str
    json: bool = False


def load_request(options: dict[str, Any]) -> LoadRequest:
    """The request to the bake files that parsed options make; those a command does not have are not set.

    Raises BadParameter.
    """
    from bakery.config.paths import is_remote_url
    from bakery.settings import load_settings, project_folder

    names = list(options.get("names", ()))
    remote: list[str] = []
    while names and len(remote) < 2 and is_remote_url(names[0]):
        remote.append(names.pop(0))
    settings = load_settings(None if remote else project_folder(tuple(options["files"])))
    strict, relative = options["strict"], options["relative_to_file"]
    if relative is None and not os.environ.get("BUILDX_BAKE_FILE_RELATIVE_PATHS"):
        relative = settings.file_relative_paths
    return LoadRequest(
        files=options["files"],
        targets=tuple(names),
        overrides=options["overrides"],
        variables=options["variables"],
        no_cache=_bool("--no-cache", options.get("no_cache")),
        pull=_bool("--pull", options.get("pull")),
        push=options.get("push", False),
        load=options.get("load", False),
        sbom=options.get("sbom", ""),
        provenance=options.get("provenance", ""),
        policy=options.get("policy", ()),
        call=_call(options),
        allow=options.get("allow", ()),
        env_files=options["env_files"],
        env=os.environ,
        cwd=Path.cwd(),
        stdin=sys.stdin.buffer.read() if "-" in options["files"] else None,
        standard_input=_standard_input,
        strict=settings.strict if strict is None else strict,
        relative_to_file=relative,
        remote=tuple(remote),
    )


@cache
def _standard_input(limit: int) -> bytes:
    """Read once: what loads its definition twice must not find it gone the second time."""
    if sys.stdin is None:  # closed: `<&-`
        return b""
    if sys.stdin.isatty():
        click.echo("bakery: reading the Dockerfile from standard input; Ctrl-D ends it", err=True)
    return sys.stdin.buffer.read(limit)


def list_request(options: dict[str, Any]) -> ListRequest | None:
    """What `--list` asks for; None without it. Raises BadParameter."""
    if options["list_targets"]:
        return ListRequest("targets")
    if options["list_variables"]:
        return ListRequest("variables")
    text = options["listing"]
    if text is None:
        return None
    if options["print_only"]:
        raise click.UsageError("--print and --list cannot be used together")
    pairs = dict(part.partition("=")[::2] if "=" in part else ("type", part) for part in text.split(","))
    what, form = pairs.get("type", ""), pairs.get("format", "table")
    if what not in ("targets", "variables") or form not in ("table", "json") or pairs.keys() - {"type", "format"}:
        raise click.BadParameter(
            f"{text}: expected targets or variables, or type=…,format=table|json", param_hint="--list"
        )
    return ListRequest(what, form == "json")


def _call(options: dict[str, Any]) -> str:
    text = "check" if options.get("check") else options.get("call", "")
    method = text.split(",", 1)[0].removeprefix("method=")
    if method and method not in (*CALLS, "lint") and not method.startswith(("subrequests.", "frontend.")):
        raise click.BadParameter(f"{method}: expected one of {', '.join(CALLS)}", param_hint="--call")
    return "check" if method == "lint" else method


def _bool(name: str, text: str | None) -> bool | None:
    from bakery.config.textforms import parse_bool

    if text is None:
        return None
    try:
        return parse_bool(text)
    except ValueError:
        raise click.BadParameter(f"{text}: expected true or false", param_hint=name) from None
