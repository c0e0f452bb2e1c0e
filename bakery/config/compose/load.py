"""The Compose files of one command, read as one project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bakery.config.compose.consistency import inconsistencies
from bakery.config.compose.dotenv import parse_dotenv
from bakery.config.compose.files import ReadFile
from bakery.config.compose.include import Model
from bakery.config.compose.interpolate import substitute
from bakery.config.compose.schema import validate
from bakery.config.compose.services import Project, service_draft, target_name
from bakery.config.draft import TargetDraft
from bakery.config.target import Group
from bakery.config.textforms import clean_path, yaml_bool
from bakery.config.yaml_nodes import YamlNode, plain_text
from bakery.diagnostics import BakeryError, Diagnostic

_PROJECT = "COMPOSE_PROJECT_NAME"


@dataclass(slots=True)
class ComposeTargets:
    """The services that can be built, as drafts by target name, and the group of all of them."""

    drafts: dict[str, TargetDraft] = field(default_factory=dict)
    group: Group | None = None
    warnings: list[Diagnostic] = field(default_factory=list)


def compose_targets(
    documents: Sequence[YamlNode], env: Mapping[str, str], folder: str, read: ReadFile
) -> ComposeTargets:
    """The targets of Compose documents. `env` is what texts may refer to; `folder` is where relative files start.

    Raises BakeryError with all that is wrong in what is read of the services.
    """
    result = ComposeTargets()
    names = {_PROJECT: "bake", **env}
    names[_PROJECT] = _project_name(documents, names)
    model = Model(read, folder)
    sections = False
    for document in documents:
        model.add(document, names)
        sections |= document.is_map and any(document.value.get(key) for key in ("services", "secrets"))
    if not sections and not model.services:
        raise BakeryError.of("empty compose file", "neither services nor secrets are declared")
    problems = validate(model.services, model.secrets) or inconsistencies(model.services, model.secrets)
    if problems:
        raise BakeryError(*problems)
    project = Project(model.secrets, names.get, _environments(model, env), result.warnings)
    for name in sorted(model.services):
        service = model.services[name]
        if "build" not in service.value:
            continue
        draft = service_draft(name, service, project)
        draft.folder = folder
        result.drafts[draft.name] = draft
    if model.services:
        result.group = Group("default", tuple(map(target_name, _built(model))))
    return result


def _built(model: Model) -> list[str]:
    return [name for name in sorted(model.services) if "build" in model.services[name].value]


def _project_name(documents: Sequence[YamlNode], env: Mapping[str, str]) -> str:
    """The `name` of the last document that has one, else the environment's, else the peer's."""
    found = env[_PROJECT] or "bake"
    for document in documents:
        node = document.value.get("name") if document.is_map else None
        if node is not None and isinstance(node.value, str):
            try:
                found = substitute(node.value, env.get) or found
            except ValueError as error:
                raise BakeryError.of("invalid project name", str(error), node.span) from None
    return found


def _environments(model: Model, env: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What the `env_file`s and the `environment` of each service set. Raises BakeryError for files that are missing."""
    problems: list[Diagnostic] = []
    found: dict[str, dict[str, str]] = {}
    for name, service in model.services.items():
        values = found[name] = {}
        files = service.value.get("env_file")
        for file in files.value if files is not None and files.is_list else ():
            try:
                values.update(_env_file(file, {**values, **env}, model))
            except BakeryError as error:
                problems.extend(error.diagnostics)
        environment = service.value.get("environment")
        for key, item in environment.value.items() if environment is not None and environment.is_map else ():
            text = plain_text(item)
            if text is not None:
                values[key] = text
            elif key in env:
                values[key] = env[key]
    if problems:
        raise BakeryError(*problems)
    return found


def _env_file(node: YamlNode, env: Mapping[str, str], model: Model) -> Mapping[str, str]:
    path_node = node.value.get("path") if node.is_map else node
    if node.is_map and (form := node.value.get("format")) is not None and plain_text(form):
        hint = "values are read as in .env files where no format is given"
        raise BakeryError.of(f'unsupported env_file format "{plain_text(form)}"', "", form.span, hint)
    path = (plain_text(path_node) if path_node is not None else None) or ""
    file = model.read(path)
    if file is not None:
        return parse_dotenv(file, env)
    if node.is_map and not _required(node):
        return {}
    raise BakeryError.of(
        f"env file {clean_path(path)} not found", "", node.span, "`required: false` lets it be missing"
    )


def _required(node: YamlNode) -> bool:
    required = node.value.get("required")
    try:
        return required is None or yaml_bool(plain_text(required) or "true")
    except ValueError as error:
        raise BakeryError.of("env_file.required", str(error), required.span) from None
