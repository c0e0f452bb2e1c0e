"""What bakery's own files can do beyond portable ones, and that portable files stay as the peer reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.config import LoadRequest, Project, load
from bakery.diagnostics import BakeryError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_files(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_hcl", ".hcl").replace("_yaml", ".yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write_files


def loaded(folder: Path, *targets: str, **more: object) -> Project:
    return load(LoadRequest(targets=targets, cwd=folder, **more))  # type: ignore[arg-type]


BASE = """
target "base" {
  tags       = ["a:1", "b:1"]
  args       = { A = "1", B = "2" }
  cache-from = ["type=registry,ref=x/a", "x/b"]
  secret     = ["id=s,env=S"]
}
"""


def test_inherited_lists_are_changed_in_place(write: Write) -> None:
    folder = write(
        bakery_hcl=BASE
        + """
target "app" {
  inherits          = ["base"]
  append-tags       = ["c:${self.name}"]
  remove-tags       = ["b:*"]
  remove-args       = ["A"]
  remove-cache-from = ["x/b"]
  remove-secret     = ["s"]
}
"""
    )
    app = loaded(folder, "app").targets["app"]
    assert app.tags == ("a:1", "c:app")
    assert app.args == {"B": "2"}
    assert [entry.attrs["ref"] for entry in app.cache_from] == ["x/a"]
    assert app.secret == ()


def test_patterns_of_what_to_remove_go_past_slashes_and_may_be_malformed(write: Write) -> None:
    folder = write(
        bakery_hcl="""
target "base" {
  tags = ["r.example.com/a/b:debug", "r.example.com/a/b:1"]
}
target "app" {
  inherits    = ["base"]
  remove-tags = ["*:debug", "["]
}
"""
    )
    assert loaded(folder, "app").targets["app"].tags == ("r.example.com/a/b:1",)


def test_a_portable_file_only_warns_of_them(write: Write) -> None:
    folder = write(**{"docker-bake_hcl": BASE + 'target "app" {\n  inherits = ["base"]\n  append-tags = ["c"]\n}\n'})
    project = loaded(folder, "app")
    assert project.targets["app"].tags == ("a:1", "b:1")
    assert project.warnings[0].summary == "Unknown attribute in target"


def test_a_portable_file_combines_nothing(write: Write) -> None:
    folder = write(**{"docker-bake_hcl": BASE + 'target "app" {\n  combine = ["base"]\n}\n'})
    project = loaded(folder, "app")
    assert [*project.targets] == ["app"]
    assert project.targets["app"].combine == ()
    assert project.warnings[0].summary == "Unknown attribute in target"


def test_a_misspelled_attribute_is_an_error_in_an_own_file(write: Write) -> None:
    folder = write(bakery_hcl='target "app" {\n  tagz = ["a"]\n}\n')
    with pytest.raises(BakeryError) as caught:
        loaded(folder, "app")
    (problem,) = caught.value.diagnostics
    assert str(problem.span) == "bakery.hcl:2,3-7"
    assert 'did you mean "tags"' in problem.detail


def test_braces_without_and_with_an_equals_sign_are_told_apart(write: Write) -> None:
    folder = write(
        bakery_hcl="""
variable "X" {
  validation = { condition = true }
}
target "app" {
  args { A = "1" }
}
"""
    )
    with pytest.raises(BakeryError) as caught:
        loaded(folder, "app")
    assert [(problem.summary, problem.detail.split(":")[0]) for problem in caught.value.diagnostics] == [
        ("Unknown attribute in variable", '"validation" is a block, not an attribute'),
        ("Unknown block in target", '"args" is an attribute of target, not a block'),
    ]


def test_strict_can_be_turned_on_and_off(write: Write) -> None:
    folder = write(**{"docker-bake_hcl": 'target "app" {\n  tagz = ["a"]\n}\n'})
    assert loaded(folder, "app", strict=False).warnings
    with pytest.raises(BakeryError):
        loaded(folder, "app", strict=True)


def test_resolved_references_see_what_is_inherited(write: Write) -> None:
    folder = write(
        bakery_hcl=BASE
        + """
target "mid" { inherits = ["base"] }
target "copy" {
  tags = [for t in resolved.target.mid.tags : "mirror/${t}"]
  args = { WHERE = resolved.target.mid.context, RAW = target.mid.tags == null ? "unset" : "set" }
}
"""
    )
    copy = loaded(folder, "copy").targets["copy"]
    assert copy.tags == ("mirror/a:1", "mirror/b:1")
    assert copy.args == {"WHERE": ".", "RAW": "unset"}


def test_resolved_references_report_cycles(write: Write) -> None:
    folder = write(
        bakery_hcl="""
target "a" { tags = resolved.target.b.tags }
target "b" { tags = resolved.target.a.tags }
"""
    )
    with pytest.raises(BakeryError, match="reference cycle not allowed"):
        loaded(folder, "a")


def test_included_files_keep_their_paths(write: Write) -> None:
    folder = write(
        bakery_hcl='include = ["services/*/bakery.hcl"]\ngroup "default" { targets = ["a", "b"] }\n',
        services__a__bakery_hcl="""
target "a" {
  context  = "src"
  contexts = { shared = "../../shared", image = "docker-image://busybox" }
  secret   = ["id=k,src=key.txt"]
  output   = ["type=local,dest=out"]
}
""",
        services__b__bakery_hcl='target "b" {}\n',
        services__a__key_txt="",
    )
    (folder / "services/a/key.txt").write_text("x")
    targets = loaded(folder).targets
    assert targets["a"].context == "services/a/src"
    assert targets["a"].contexts == {"shared": "shared", "image": "docker-image://busybox"}
    assert targets["a"].secret[0].src == "services/a/key.txt"
    assert targets["a"].output[0].dest == "services/a/out"
    assert targets["b"].context == "services/b"


def test_secrets_from_commands_are_for_own_files(write: Write) -> None:
    text = 'target "t" { secret = [{ id = "k", command = "pass show k" }, "id=l,command=echo a=b"] }\n'
    one, other = loaded(write(bakery_hcl=text), "t").targets["t"].secret
    assert (one.command, other.command) == ("pass show k", "echo a=b")
    yaml = "targets:\n  t:\n    secret: [{id: k, command: pass show k}]\n"
    assert loaded(write(bakery_hcl="", bakery_yaml=yaml), "t").targets["t"].secret == (one,)
    with pytest.raises(BakeryError, match="for bakery's own files"):
        loaded(write(**{"docker-bake_hcl": text}), "t")
    write(**{"docker-bake_hcl": "", "bakery_yaml": ""})
    for wrong in ("id=k,command=x,src=y", "id=k,env=X,command=x"):
        with pytest.raises(BakeryError, match="not from both"):
            loaded(write(bakery_hcl=f'target "t" {{ secret = ["{wrong}"] }}\n'), "t")


def test_recursive_includes_end(write: Write) -> None:
    folder = write(
        bakery_hcl='include = ["other.bakery.hcl"]\ntarget "a" {}\n',
    )
    (folder / "other.bakery.hcl").write_text('include = ["bakery.hcl", "other.bakery.hcl"]\ntarget "b" {}\n')
    assert set(loaded(folder, "a", "b").targets) == {"a", "b"}


def test_variables_come_from_env_files_below_the_environment(write: Write) -> None:
    folder = write(bakery_hcl='variable "A" {}\nvariable "B" {}\ntarget "t" { args = { A = A, B = B } }\n')
    (folder / "x.env").write_text("A=file\nB=file\n")
    assert loaded(folder, "t", env_files=("x.env",), env={"B": "env"}).targets["t"].args == {"A": "file", "B": "env"}


def test_the_group_all_is_every_public_target(write: Write) -> None:
    folder = write(bakery_hcl='target "a" {}\ntarget "_hidden" {}\ntarget "b" {}\n')
    assert set(loaded(folder, "all").targets) == {"a", "b"}


def test_a_dockerfile_alone_is_the_target_default(write: Write) -> None:
    folder = write(Dockerfile="FROM scratch\n")
    assert set(loaded(folder).targets) == {"default"}


def test_nothing_at_all_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match="couldn't find a bake definition"):
        loaded(tmp_path)


YAML = """
variables:
  TAG: v1
  PORT:
    type: number
    default: 80
    validation: {condition: PORT < 65536, error_message: "{{ PORT }} is no port"}
functions:
  image: {params: [name], result: "registry.example.com/{{ name | lower }}:{{ TAG }}"}
groups:
  default: [app, svc]
targets:
  base:
    labels: {upper: "{{ upper('abc') }}", number: 1.20, word: yes}
  app:
    inherits: [base]
    tags: ["{{ image('App') }}", "{{ target.base.labels.upper }}-{{ self.name | sanitize }}"]
    args:
      PORT: "{{ PORT + 1 }}"
      LOOP: "{% for n in [1, 2] %}<{{ n }}{% if not loop.last %},{% endif %}>{% endfor %}"
      NONE: null
  svc:
    matrix: {v: ["1.0", "2.0"]}
    name: svc-{{ v | replace('.', '_') }}
    args: {V: "{{ v }}"}
"""


def test_yaml_has_the_same_model(write: Write) -> None:
    targets = loaded(write(bakery_yaml=YAML)).targets
    assert set(targets) == {"app", "svc-1_0", "svc-2_0"}
    assert targets["app"].tags == ("registry.example.com/app:v1", "ABC-app")
    assert targets["app"].labels == {"upper": "ABC", "number": "1.2", "word": "yes"}
    assert targets["app"].args == {"PORT": "81", "LOOP": "<1,><2>"}
    assert targets["svc-2_0"].args == {"V": "2.0"}


def test_yaml_validation_names_the_line(write: Write) -> None:
    with pytest.raises(BakeryError) as caught:
        loaded(write(bakery_yaml=YAML), variables=("PORT=70000",))
    (problem,) = caught.value.diagnostics
    assert problem.detail == "70000 is no port"
    assert problem.span is not None
    assert problem.span.start.line == 7


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ TAG.upper() }}",
        "{{ (TAG | string).format }}",
        "{{ image.__call__ }}",
        "{{ image(image) }}",
        "{{ self._TemplateReference__context }}",
        "{{ [].append(1) }}",
        "{{ cycler }}",
        "{% set x = 1 %}",
        "{% include 'x' %}",
        "{{ 'a' * 1000000000 }}",
        "{{ 2 ** 100000 }}",
        "{{ '%s' % 1 }}",
        "{{ range(1000000000) }}",
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% for a in [1] %}{% for b in [1] %}{% for c in [1] %}{% endfor %}{% endfor %}{% endfor %}",
        "{{ TAG | attr('__class__') }}",
        "{{ nope }}",
        "{{ ",
    ],
)
def test_templates_reach_nothing_but_data(write: Write, text: str) -> None:
    source = "variables: {TAG: x}\nfunctions: {image: {params: [a], result: '{{ a }}'}}\ntargets:\n  t:\n    tags:\n"
    folder = write(bakery_yaml=f'{source}      - "{text}"\n')
    with pytest.raises(BakeryError) as caught:
        loaded(folder, "t")
    assert caught.value.diagnostics[0].span is not None
    assert caught.value.diagnostics[0].span.start.line == 6


def test_a_control_character_in_yaml_is_shown_where_it_is(write: Write) -> None:
    with pytest.raises(BakeryError) as raised:
        loaded(write(bakery_yaml='targets:\n  default: {tags: ["a\x07"]}\n'))
    (problem,) = raised.value.diagnostics
    assert str(problem) == ("bakery.yaml:2,22-23: failed to parse YAML; the control character U+0007 cannot stand here")
