"""`bakery convert`: definitions from one format to another.

Between HCL and JSON every expression is kept. Compose files and `bakery.yaml` (whose expressions have no equal
elsewhere) are evaluated first, and so is whatever becomes YAML: the result says what they mean here and now.
"""

from __future__ import annotations

import json
import re
from typing import Any

from bakery.config.discover import Format, discover
from bakery.config.document import Document, Expr, Text
from bakery.config.files import parse_hcl, parse_json
from bakery.config.request import LoadRequest
from bakery.diagnostics import BakeryError, Severity, SourceFile

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def convert_files(request: LoadRequest, to: Format) -> str:
    """The definition that a request finds, as text of another format: HCL, JSON or YAML. Raises BakeryError."""
    found = discover(request.files, request.env, request.cwd, request.stdin)
    document = Document()
    if to is not Format.YAML and found and all(item.format in (Format.HCL, Format.JSON) for item in found):
        for item in found:
            body, problems = (parse_hcl if item.format is Format.HCL else parse_json)(item.file)
            errors = [problem for problem in problems if problem.severity is Severity.ERROR]
            if errors:
                raise BakeryError(*errors)
            document.add_body(body)
    else:
        from bakery.config.project import declared_targets

        document.add_drafts(*declared_targets(request))
    return {Format.HCL: to_hcl, Format.JSON: to_json, Format.YAML: to_yaml}[to](document)


# --- JSON ---


def to_json(document: Document) -> str:
    """The JSON form: expressions in strings."""
    data: dict[str, Any] = {name: _json(value) for name, value in document.attributes.items()}
    for block_type, blocks in document.sections():
        if blocks:
            data[block_type] = {name: _json_block(block_type, content) for name, content in blocks.items()}
    for name, content in document.again:
        first = data["target"][name]
        data["target"][name] = [*(first if isinstance(first, list) else [first]), _json_block("target", content)]
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _json_block(block_type: str, content: dict[str, Any]) -> dict[str, Any]:
    found = {name: _json(value) for name, value in content.items()}
    # Types and names of parameters are plain strings in JSON, not templates.
    for name in ("type",) if block_type == "variable" else ("params", "variadic_params"):
        value = content.get(name)
        if isinstance(value, Expr):
            found[name] = value.text
        elif block_type == "function" and isinstance(value, list):
            found[name] = [item.text for item in value]
    return found


def _json(value: Any) -> Any:
    match value:
        case Text(parts=parts):
            return "".join(_escaped(part) if isinstance(part, str) else _interpolated(part.text) for part in parts)
        case Expr(text=text):
            return int(text) if re.fullmatch(r"-?[0-9]{1,15}", text) else _interpolated(text)
        case list():
            return [_json(item) for item in value]
        case dict():
            return {_escaped(key): _json(item) for key, item in value.items()}
        case _:
            return value


def _interpolated(text: str) -> str:
    # A heredoc ends with a line of its own.
    return f"${{{text}\n}}" if "<<" in text else f"${{{text}}}"


def _escaped(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")


# --- HCL ---


def to_hcl(document: Document) -> str:
    """Native HCL. Its structure is written by python-hcl2, the values by us, the layout is that of `bakery fmt`."""
    import hcl2

    from bakery.config.hcl_format import format_hcl

    values: list[str] = []
    data: dict[str, Any] = {name: _placeholder(value, values) for name, value in document.attributes.items()}
    for block_type, blocks in document.sections():
        again = document.again if block_type == "target" else []
        for name, content in [*blocks.items(), *again]:
            body: dict[str, Any] = {"__is_block__": True}
            for key, value in content.items():
                if key == "validation":
                    body[key] = [
                        {"__is_block__": True, **{k: _placeholder(v, values) for k, v in item.items()}}
                        for item in value
                    ]
                else:
                    body[key] = _placeholder(value, values)
            data.setdefault(block_type, []).append({f'"{name}"': body})
    text = hcl2.dumps(data)
    text = re.sub(r"bakery_placeholder_(\d+)_", lambda match: values[int(match[1])], text)
    return format_hcl(SourceFile("converted.hcl", text))


def _placeholder(value: Any, values: list[str]) -> str:
    """A name that stands for a value while python-hcl2 writes the blocks: it cannot write every expression."""
    values.append(_hcl(value, 1))
    return f"${{bakery_placeholder_{len(values) - 1}_}}"


def _hcl(value: Any, level: int) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Text():
            return _hcl_text(value)
        case Expr(text=text):
            return text
        case list():
            items = [_hcl(item, level + 1) for item in value]
            line = f"[{', '.join(items)}]"
            if len(line) <= 80 and "\n" not in line:
                return line
            return "[\n" + "".join(f"{item},\n" for item in items) + "]"
        case dict() if not value:
            return "{}"
        case dict():
            pairs = [f"{_hcl_key(key)} = {_hcl(item, level + 1)}" for key, item in value.items()]
            return "{\n" + "".join(f"{pair}\n" for pair in pairs) + "}"
        case _:
            return str(value)


def _hcl_key(key: str) -> str:
    return key if _IDENTIFIER.fullmatch(key) and key not in ("true", "false", "null") else _quoted(key)


def _hcl_text(value: Text) -> str:
    plain = value.plain
    if plain is not None and plain.endswith("\n") and plain.count("\n") > 1 and "\r" not in plain:
        lines = _escaped(plain)
        marker = "EOT"
        while any(line.strip() == marker for line in lines.splitlines()):
            marker += "_"
        return f"<<{marker}\n{lines}{marker}"
    body = "".join(_quoted(part)[1:-1] if isinstance(part, str) else f"${{{part.text}}}" for part in value.parts)
    return f'"{body}"'


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return '"' + _escaped(escaped.replace("\t", "\\t")) + '"'


# --- YAML ---


def to_yaml(document: Document) -> str:
    """The form of `bakery.yaml`."""
    import yaml

    data: dict[str, Any] = {}
    for block_type, blocks in document.sections():
        if blocks:
            data[f"{block_type}s"] = {
                name: _yaml(content["targets"] if content.keys() == {"targets"} else content)
                for name, content in blocks.items()
            }
    return yaml.dump(data, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=120)


def _yaml(value: Any) -> Any:
    match value:
        case Text():
            text = value.plain or ""
            return f"{{% raw %}}{text}{{% endraw %}}" if any(mark in text for mark in ("{{", "{%", "{#")) else text
        case list():
            return [_yaml(item) for item in value]
        case dict():
            return {key: _yaml(item) for key, item in value.items()}
        case _:
            return value


def _dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes texts of several lines as blocks, and quotes what other YAML readers would not take for text."""

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return Dumper
