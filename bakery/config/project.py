"""From a request to a project: read, evaluate, merge, inherit, override, select, check."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field

from bakery.config.discover import DEFAULT_NAMES, discover, read
from bakery.config.draft import TargetDraft
from bakery.config.files import Reader, Sources, read_env_files
from bakery.config.finish import check, finished, raise_all, unset_secret_warnings
from bakery.config.inherit import Inheritance, Override
from bakery.config.override import read_overrides
from bakery.config.paths import rebase_contexts
from bakery.config.request import LoadRequest
from bakery.config.selection import follow_links, printed_groups, reached, requested_names, with_all
from bakery.config.target import Group, Listing, NamedDescription, PolicyEntry, Project, VariableInfo
from bakery.config.textforms import parse_bool
from bakery.diagnostics import BakeryError, Diagnostic, Severity, SourceFile
from bakery.values import frozen, replace

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}


@frozen
class Declared:
    """All targets and groups of the files, before anything is selected."""

    drafts: dict[str, TargetDraft] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    variables: list[VariableInfo] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    files: list[SourceFile] = field(default_factory=list)
    remote_context: str | None = None


def load_project(request: LoadRequest) -> Project:
    """What `bakery.config.load` does. Raises BakeryError."""
    if request.allow:
        from bakery.config.allow import parse_grants

        parse_grants(request.allow, request.cwd)  # what is no grant is said before anything is read, for --print, too
    try:
        declared = _declared(request)
        return _selected(declared, request)
    except RecursionError:
        raise _too_deep() from None


def list_project(request: LoadRequest) -> Listing:
    """What `bakery.config.list_declared` does. Raises BakeryError."""
    try:
        declared = _declared(request, with_variables=True)
    except RecursionError:
        raise _too_deep() from None
    named = [NamedDescription(name, draft.values.get("description", "")) for name, draft in declared.drafts.items()]
    named += [
        NamedDescription(name, group.description, tuple(sorted(group.targets)))
        for name, group in declared.groups.items()
    ]
    shown = sorted((item for item in named if not item.name.startswith("_")), key=lambda item: item.name)
    return Listing(tuple(shown), tuple(declared.variables), tuple(declared.warnings))


def declared_targets(request: LoadRequest) -> tuple[dict[str, TargetDraft], dict[str, Group]]:
    """Every target as its own blocks set it, and every group: what `bakery convert` writes. Raises BakeryError."""
    try:
        declared = _declared(request)
    except RecursionError:
        raise _too_deep() from None
    return declared.drafts, declared.groups


def _too_deep() -> BakeryError:
    return BakeryError.of(
        "the definition is nested too deeply", "expressions or references need more levels than there are"
    )


# --- declared: what the files say ---


def _declared(request: LoadRequest, with_variables: bool = False) -> Declared:
    context: str | None = None
    if request.remote:
        from bakery.config.remote import fetch_definition

        fetched = fetch_definition(request.remote[0], request.files, request.env, request.cwd)
        found, context = fetched.files, fetched.context
    else:
        found = discover(request.files, request.env, request.cwd, request.stdin)
    if not found:
        return _without_files(request)
    reader = Reader(request.cwd, request.strict, _relative_paths(request))
    sources = reader.read_all(found)
    flags = dict(_variable(text) for text in request.variables if text)
    environment = _environment(request)
    declared = Declared(warnings=reader.warnings, files=sources.files, remote_context=context)
    texts: list[SourceFile] = []
    if sources.compose:
        texts = [*sources.files, *_add_compose(declared, sources, flags, environment, request)]
    builtins = {
        "BAKE_CMD_CONTEXT": request.remote[1] if len(request.remote) > 1 else "cwd://",
        "BAKE_LOCAL_PLATFORM": local_platform(),
    }
    if flags:
        from bakery.config.undeclared import without_effect

        strict = all(item.own for item in found) if request.strict is None else request.strict
        severity = Severity.ERROR if strict else Severity.WARNING
        idle = without_effect(flags, sources.definition, builtins, texts, severity)
        if strict:
            raise_all(idle)
        declared.warnings.extend(idle)
    _add_blocks(declared, sources, flags, environment, builtins, with_variables)
    return declared


def _without_files(request: LoadRequest) -> Declared:
    named = request.files or request.env.get("BUILDX_BAKE_FILE") or request.remote
    if not named and (request.cwd / "Dockerfile").is_file():
        return Declared({"default": TargetDraft("default")})
    unusable = [name for name in DEFAULT_NAMES if os.path.lexists(request.cwd / name)]
    if unusable and not named:
        raise BakeryError.of(
            "couldn't find a bake definition", hint=f"{unusable[0]} is there, but it is empty, or no ordinary file"
        )
    raise BakeryError.of(
        "couldn't find a bake definition",
        hint="name one with -f, or write docker-bake.hcl, bakery.hcl or compose.yaml (`bakery init` makes a first one)",
    )


def _relative_paths(request: LoadRequest) -> bool:
    if request.relative_to_file is not None:
        return request.relative_to_file
    return _switch(request.env, "BUILDX_BAKE_FILE_RELATIVE_PATHS")


def _switch(env: Mapping[str, str], name: str) -> bool:
    try:
        return parse_bool(env.get(name, "") or "false")
    except ValueError:
        return False


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BakeryError.of(f'invalid variable "{text}", expected key=value')
    return name, value


def _environment(request: LoadRequest) -> Mapping[str, str]:
    process = {} if _switch(request.env, "BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP") else request.env
    if not request.env_files:
        return process
    return {**read_env_files(request.env_files, request.cwd, process), **process}


def _add_compose(
    declared: Declared, sources: Sources, flags: Mapping[str, str], environment: Mapping[str, str], request: LoadRequest
) -> list[SourceFile]:
    """Adds the services; returns the files that they refer to."""
    from bakery.config.compose.load import compose_targets

    referred: list[SourceFile] = []

    def read_file(path: str) -> SourceFile | None:
        if not os.path.isfile(request.cwd / path):
            return None
        found = read(path, request.cwd)
        referred.append(SourceFile(path, "") if found is None else found.file)
        return referred[-1]

    dotenv = read_env_files([".env"], request.cwd, environment) if (request.cwd / ".env").is_file() else {}
    names = {**dotenv, **environment, **flags}
    result = compose_targets(sources.compose, names, sources.compose_folder, read_file)
    for draft in result.drafts.values():
        if sources.compose_folder:
            rebase_contexts(draft.values, sources.compose_folder, sources.compose_folder)
        declared.drafts[draft.name] = draft
    if result.group is not None:
        declared.groups["default"] = result.group
    declared.warnings.extend(result.warnings)
    return referred


def _add_blocks(
    declared: Declared,
    sources: Sources,
    flags: Mapping[str, str],
    environment: Mapping[str, str],
    builtins: Mapping[str, str],
    with_variables: bool,
) -> None:
    definition = sources.definition
    if not (definition.variables or definition.attributes or definition.targets or definition.groups):
        return
    from bakery.config.definition import Problems
    from bakery.config.drafting import draft_blocks
    from bakery.config.evaluation import Blocks
    from bakery.config.globals import Globals, Overrides
    from bakery.config.values import string

    scope = Globals(definition, Overrides(flags, environment), {name: string(text) for name, text in builtins.items()})
    scope.resolve()
    blocks = Blocks(definition, scope, dict(declared.drafts))
    blocks.expand_all()
    problems = Problems()
    draft_blocks(blocks, declared.drafts, problems)
    declared.groups.update(blocks.groups(problems))
    problems.stop_if_any(in_order_of=sources.files)
    if with_variables:
        from bakery.config.listing import variable_infos

        declared.variables.extend(variable_infos(definition, scope))


def local_platform() -> str:
    """The platform of this machine as images name it: `linux/amd64`."""
    machine = os.uname().machine
    return f"linux/{_MACHINES.get(machine, machine)}"


# --- selected: what the command asks for ---


def _selected(declared: Declared, request: LoadRequest) -> Project:
    names = requested_names(request.targets, declared.drafts, declared.groups)
    inheritance = Inheritance(declared.drafts, _overrides(declared, request))
    # Only now: a pattern matches what the files declare, as in the peer, and not the group that we make up.
    groups = with_all(declared.groups, declared.drafts)
    requested, found = reached(names, groups, declared.drafts)
    drafts = follow_links(requested, inheritance)
    drafts = {name: _with_flags(draft, request) for name, draft in drafts.items()}
    raise_all([problem for draft in drafts.values() for problem in check(draft, request.cwd, request.env)])
    if any(draft.values.get("dockerfile") == "-" for draft in drafts.values()):
        from bakery.config.standard_input import with_standard_input

        drafts = with_standard_input(drafts.values(), request)
    warnings = [*declared.warnings, *unset_secret_warnings(drafts.values(), request.env)]
    return Project(
        targets={
            name: finished(draft, name in requested, declared.remote_context is not None)
            for name, draft in drafts.items()
        },
        groups=printed_groups(names, found),
        warnings=tuple(warnings),
        files=tuple(declared.files),
        remote=request.remote[0] if request.remote else None,
        remote_context=declared.remote_context,
        declared=tuple(declared.drafts),
    )


def _overrides(declared: Declared, request: LoadRequest) -> dict[str, list[Override]]:
    expressions = [*request.overrides, *_flag_overrides(request)]
    env = {} if _switch(request.env, "BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP") else request.env
    return read_overrides(expressions, declared.drafts, env)


def _flag_overrides(request: LoadRequest) -> list[str]:
    """The flags that are short for a `--set` on every target."""
    found: list[str] = []
    if request.push:
        found.append("*.push=true")
    if request.load:
        found.append("*.load=true")
    if request.no_cache is not None:
        found.append(f"*.no-cache={str(request.no_cache).lower()}")
    if request.pull is not None:
        found.append(f"*.pull={str(request.pull).lower()}")
    for kind, text in (("sbom", request.sbom), ("provenance", request.provenance)):
        if text:
            found.append(f"*.attest=type={kind},{_attest_attrs(text)}")
    found.extend(f"*.policy+={text}" for text in request.policy if not text.startswith("disabled"))
    if request.call and request.call != "build":
        # The method is called `lint` inside the peer, and scripts that read its JSON know it by that name.
        found.append(f"*.call={'lint' if request.call == 'check' else request.call}")
    return found


def _attest_attrs(text: str) -> str:
    try:
        return "disabled=false" if parse_bool(text) else "disabled=true"
    except ValueError:
        return text


def _with_flags(draft: TargetDraft, request: LoadRequest) -> TargetDraft:
    values = draft.values
    epoch = request.env.get("SOURCE_DATE_EPOCH")
    if epoch and "SOURCE_DATE_EPOCH" not in values.get("args", {}):
        values = {**values, "args": {**values.get("args", {}), "SOURCE_DATE_EPOCH": epoch}}
    if "disabled" in request.policy or "disabled=true" in request.policy:
        values = {**values, "policy": [PolicyEntry(disabled=True)]}
    return draft if values is draft.values else replace(draft, values=values)
