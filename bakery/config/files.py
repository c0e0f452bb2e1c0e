"""Definition files to one merged definition: parsed by format, includes followed."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.config.definition import Definition, Dialect, Origin
from bakery.config.discover import Format, Found, read
from bakery.config.hcl.syntax import Body
from bakery.config.textforms import clean_path
from bakery.diagnostics import BakeryError, Diagnostic, Severity, SourceFile

if TYPE_CHECKING:
    from bakery.config.yaml_nodes import YamlNode

MAX_INCLUDES = 1000
"""Files that one command may include."""


class Sources:
    """All that was read: blocks of HCL, JSON and own YAML files, and the documents of Compose files."""

    def __init__(self) -> None:
        self.definition = Definition()
        self.compose: list[YamlNode] = []
        self.compose_folder = ""
        self.files: list[SourceFile] = []


class Reader:
    """Reads the files of one command."""

    def __init__(self, cwd: Path, strict: bool | None, relative_to_file: bool) -> None:
        self._cwd = cwd
        self._strict = strict
        self._relative = relative_to_file
        self._problems: list[Diagnostic] = []
        self._included: set[str] = set()
        self.sources = Sources()

    def read_all(self, found: Sequence[Found]) -> Sources:
        """Parse and merge all files. Raises BakeryError with every syntax error of all of them."""
        for item in found:
            self._add(item, self._origin(item))
        self._problems.extend(self.sources.definition.problems)
        errors = [problem for problem in self._problems if problem.severity is Severity.ERROR]
        if errors:
            raise BakeryError(*errors, *(p for p in self._problems if p.severity is Severity.WARNING))
        return self.sources

    @property
    def warnings(self) -> list[Diagnostic]:
        """What was noticed and does not stop anything."""
        return [problem for problem in self._problems if problem.severity is Severity.WARNING]

    def _origin(self, found: Found) -> Origin:
        folder = posixpath.dirname(found.path) if self._relative else ""
        strict = found.own if self._strict is None else self._strict
        return Origin(folder, Dialect(found.own, strict))

    def _add(self, found: Found, origin: Origin) -> None:
        self.sources.files.append(found.file)
        try:
            match found.format:
                case Format.COMPOSE:
                    self._add_compose(parse_yaml(found.file), found)
                case Format.HCL:
                    self._add_body(*parse_hcl(found.file), found, origin)
                case Format.JSON:
                    self._add_body(*parse_json(found.file), found, origin)
                case Format.YAML:
                    from bakery.config.bakery_yaml import parse_bakery_yaml

                    self._add_body(*parse_bakery_yaml(found.file), found, origin)
                case _:
                    self._add_unknown(found, origin)
        except BakeryError as error:
            self._problems.extend(error.diagnostics)

    def _add_compose(self, documents: list[YamlNode], found: Found) -> None:
        if not self.sources.compose and self._relative:
            self.sources.compose_folder = posixpath.dirname(found.path)
        self.sources.compose.extend(documents)

    def _add_unknown(self, found: Found, origin: Origin) -> None:
        try:
            documents = parse_yaml(found.file)
        except BakeryError as error:
            yaml_problem = str(error)
        else:
            if any(document.is_map and {"services", "secrets"} & document.value.keys() for document in documents):
                self._add_compose(documents, found)
                return
            yaml_problem = "it has neither services nor secrets"
        for parse in (parse_hcl, parse_json):
            body, problems = parse(found.file)
            if not any(problem.severity is Severity.ERROR for problem in problems):
                self._add_body(body, problems, found, origin)
                return
        _, problems = parse_json(found.file) if found.file.text.lstrip().startswith("{") else parse_hcl(found.file)
        self._problems.extend(problems)
        self._problems.append(Diagnostic(f"{found.file.name} is not a Compose file either", yaml_problem))

    def _add_body(self, body: Body, problems: list[Diagnostic], found: Found, origin: Origin) -> None:
        self._problems.extend(problems)
        if origin.dialect.own and "include" in body.attributes:
            include = body.attributes["include"]
            rest = {name: attribute for name, attribute in body.attributes.items() if name != "include"}
            body = Body(body.source, body.start, body.end, rest, body.blocks)
            from bakery.config.include import included_files

            for path in included_files(include, found.path, self._cwd):
                self._include(path, origin, found)
        self.sources.definition.add(body, origin)

    def _include(self, path: str, origin: Origin, parent: Found) -> None:
        # A file that is included twice, by itself or by two others, counts once, before whoever includes it.
        if path in self._included or path == clean_path(parent.path):
            return
        if len(self._included) >= MAX_INCLUDES:
            raise BakeryError.of("too many includes", f"more than {MAX_INCLUDES} files are included")
        self._included.add(path)
        found = read(path, self._cwd)
        if found is None:
            return
        if found.format is Format.COMPOSE:
            raise BakeryError.of("cannot include a Compose file", f"{path}: name it with -f instead")
        self._add(found, Origin(posixpath.dirname(path), Dialect(True, origin.dialect.strict), included=True))


def parse_hcl(file: SourceFile) -> tuple[Body, list[Diagnostic]]:
    """A native HCL file."""
    from bakery.config.hcl.parser import parse_body

    return parse_body(file)


def parse_yaml(file: SourceFile) -> list[YamlNode]:
    """The documents of a YAML file."""
    from bakery.config.yaml_nodes import read_yaml

    return read_yaml(file)


def parse_json(file: SourceFile) -> tuple[Body, list[Diagnostic]]:
    """A JSON file."""
    from bakery.config.hcl.json_syntax import BlockSchema, parse_json_body

    blocks = {
        "variable": BlockSchema(1, {"validation": BlockSchema()}),
        "function": BlockSchema(1),
        "group": BlockSchema(1),
        "target": BlockSchema(1),
    }
    return parse_json_body(file, BlockSchema(blocks=blocks))


def read_env_files(names: Sequence[str], cwd: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The variables of `--env-file` files, later files winning. Raises BakeryError."""
    from bakery.config.compose.dotenv import parse_dotenv

    values: dict[str, str] = {}
    for name in names:
        found = read(name, cwd)
        if found is not None:
            values.update(parse_dotenv(found.file, {**values, **env}))
    return values
