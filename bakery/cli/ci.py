"""`bakery ci`: the targets as jobs of a CI, in the order of their links."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bakery.cli import examples
from bakery.cli.apply_settings import apply_settings
from bakery.cli.build_options import load_request, lower_options
from bakery.cli.switches import SwitchCommand

if TYPE_CHECKING:
    from bakery.ci.command import SharedCache
    from bakery.ci.install import Install
    from bakery.ci.plan import Wave
    from bakery.config.request import LoadRequest

F = TypeVar("F", bound=Callable[..., Any])
_SCOPE = "bakery"
_GITLAB_REF = "$CI_REGISTRY_IMAGE/cache:bakery"


@click.group("ci", epilog=examples.CI)
def ci() -> None:
    """Write the jobs of a CI that builds the targets, in waves.

    Each target is a job, and comes after the targets that it links to. All jobs share a cache, so what one has built
    the next finds. What is only linked to is a job if several need it.
    """


def _one_line(context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    if text is not None and not text.isprintable():
        raise click.BadParameter("expected a text of one line")
    return text


def _options(caches: tuple[str, ...]) -> Callable[[F], F]:
    options = (
        click.option(
            "cache",
            "--cache",
            type=click.Choice(caches),
            default=caches[0],
            show_default=True,
            help="The cache that jobs share.",
        ),
        click.option(
            "cache_ref",
            "--cache-ref",
            metavar="NAME",
            callback=_one_line,
            help="The reference of a registry's cache, or GitHub's scope.",
        ),
        click.option("base", "--base", metavar="REF", help="Only what changed since a commit, as `bakery affected`."),
        click.option("output", "-o", "--output", metavar="FILE", default="-", help="Where to; else stdout."),
    )

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return lower_options(command)

    return decorate


_branch = click.option(
    "branch",
    "--branch",
    metavar="NAME",
    default="main",
    callback=_one_line,
    show_default=True,
    help="The branch whose builds write the cache and push.",
)
_push = click.option("push", "--push", is_flag=True, help="Push the images of that branch.")
_runner = click.option(
    "runner",
    "--runner",
    metavar="LABEL",
    default="",
    callback=_one_line,
    help="The machine of all jobs; else one of their architecture.",
)
_install = click.option(
    "install",
    "--install",
    metavar="COMMAND",
    callback=_one_line,
    help="How jobs install bakery; else the commit, archive or version that is installed here.",
)


@ci.command("github", cls=SwitchCommand, epilog=examples.CI)
@_options(("gha", "registry", "none"))
@_branch
@_push
@_runner
@_install
@click.option("affected", "--affected", is_flag=True, help="Let the workflow find out, each time, what is affected.")
@click.option("matrix", "--matrix", is_flag=True, help="Only a matrix for `fromJSON`, as JSON on one line.")
def github(
    branch: str,
    push: bool,
    runner: str,
    install: str | None,
    affected: bool,
    matrix: bool,
    output: str,
    **options: Any,
) -> None:
    """Write a workflow for GitHub Actions.

    With `--push`, or a cache in a registry, the repository has a variable REGISTRY, and if need be REGISTRY_USER and a
    secret REGISTRY_PASSWORD.
    """
    if affected and (matrix or options["base"]):
        raise click.UsageError("--affected is for a workflow that finds out itself; leave out --base and --matrix")
    from bakery.ci import github as workflows
    from bakery.ci.command import given
    from bakery.ci.matrix import as_matrix

    cache = _cache(options, _SCOPE)
    request, waves = _planned(options, cache)
    if matrix:
        _write(as_matrix(waves, runner), output)
        return
    arguments = given(request, locked=options["locked"])
    how = workflows.GitHub(cache, _installed(install), arguments, request.targets, branch, runner, push, _command())
    _write((workflows.affected_workflow if affected else workflows.workflow)(waves, how), output)


@ci.command("gitlab", cls=SwitchCommand, epilog=examples.CI)
@_options(("registry", "none"))
@_branch
@_push
@_install
@click.option("image", "--image", metavar="IMAGE", default="python:3.12", show_default=True, help="What jobs run in.")
def gitlab(branch: str, push: bool, install: str | None, image: str, output: str, **options: Any) -> None:
    """Write a pipeline for GitLab; a job begins as soon as those that it needs have ended.

    The cache lies in the project's own registry unless `--cache-ref` says where.
    """
    from bakery.ci.command import given
    from bakery.ci.gitlab import GitLab, pipeline

    cache = _cache(options, _GITLAB_REF)
    request, waves = _planned(options, cache)
    arguments = given(request, locked=options["locked"])
    how = GitLab(cache, _installed(install), arguments, branch, image, push, _command())
    _write(pipeline(waves, how), output)


@ci.command("json", cls=SwitchCommand, epilog=examples.CI)
@_options(("gha", "registry", "none"))
@_runner
@click.option("number", "--waves", type=click.IntRange(min=1), metavar="N", help="Exactly so many waves; see above.")
def json_(runner: str, number: int | None, output: str, **options: Any) -> None:
    """Write the waves as JSON on one line: `{"waves": [{"include": [{"target": …}, …]}, …]}`.

    Waves without a job stay there, empty, so that a wave has the same number whatever is affected. With `--waves`, for
    a workflow that has been written before, what would come later joins the last wave, and builds what it links to.
    """
    from bakery.ci.matrix import as_json
    from bakery.ci.plan import exactly

    cache = _cache(options, _SCOPE)
    _, waves = _planned(options, cache)
    if number and len(waves) > number:
        click.echo(
            f"WARNING: there are {len(waves)} waves now, and room for {number}: write the workflow again", err=True
        )
    waves = exactly(waves, number) if number else waves
    _write(as_json(waves, cache, runner), output)


def _cache(options: dict[str, Any], usual: str) -> SharedCache | None:
    from bakery.ci.command import SharedCache

    kind, name = options["cache"], options["cache_ref"]
    if kind == "none":
        return None
    if kind == "registry" and not name and usual == _SCOPE:
        raise click.UsageError("--cache registry needs --cache-ref, such as registry.example.com/app:cache")
    return SharedCache(kind, name or usual)


def _planned(options: dict[str, Any], cache: SharedCache | None) -> tuple[LoadRequest, list[Wave]]:
    request = load_request(options)
    apply_settings(options, remote=bool(request.remote))
    if request.remote or request.stdin is not None:
        raise click.UsageError("`bakery ci` writes jobs for the files of a repository")
    from bakery import config
    from bakery.ci.plan import only, plan_waves
    from bakery.cli.complaints import report_warnings

    project = config.load(request)
    report_warnings(project.warnings)
    waves = plan_waves(project, shared=cache is not None)
    return request, only(waves, _affected(request, options)) if options["base"] else waves


def _affected(request: LoadRequest, options: dict[str, Any]) -> set[str]:
    from bakery.cli.run import build_options
    from bakery.graph.affected import States, find_affected

    return set(find_affected(request, build_options(options, frozenset(request.allow)), States(options["base"])))


def _installed(command: str | None) -> Install:
    """How jobs get bakery, as it was said, or like this one; what is in doubt is told."""
    from bakery.ci.install import Install, own_install
    from bakery.cli.complaints import report_warnings
    from bakery.diagnostics import Diagnostic, Severity

    if command:
        return Install(command)
    install = own_install()
    if install.doubt:
        report_warnings(
            [
                Diagnostic(
                    f"jobs run `{install.command}`, since {install.doubt}",
                    severity=Severity.WARNING,
                    hint="the name has to come from a package index that you trust; else give --install what jobs run",
                )
            ]
        )
    return install


def _command() -> str:
    """The command as it was given, without values, which may be secret."""
    import shlex

    from bakery.console.crash import without_values

    return " ".join(shlex.join(["bakery", *without_values(sys.argv[1:])]).split())


def _write(text: str, output: str) -> None:
    from bakery.diagnostics import BakeryError

    if output == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BakeryError.of(f"{output}: {(error.strerror or 'cannot be written').lower()}") from None
    click.echo(output)
