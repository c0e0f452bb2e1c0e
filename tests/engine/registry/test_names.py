"""References, settings, credentials and challenges: what people and registries write."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import trio

from engine.errors import SourceError
from engine.registry.challenge import Challenge, parse_challenges
from engine.registry.credentials import Credentials, CredentialStore
from engine.registry.reference import api_host, is_local, parse
from engine.registry.settings import Mirror, load_settings

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("debian", "docker.io/library/debian:latest"),
        ("debian:12", "docker.io/library/debian:12"),
        ("index.docker.io/debian", "docker.io/library/debian:latest"),
        ("team/app", "docker.io/team/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b:1"),
        ("quay.io/a/b__c--d.e@" + DIGEST, "quay.io/a/b__c--d.e@" + DIGEST),
        ("a:1@" + DIGEST, "docker.io/library/a:1@" + DIGEST),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("UPPER/app", "UPPER/app:latest"),
    ],
)
def test_a_name_has_one_normal_form(text: str, normal: str) -> None:
    assert str(parse(text)) == normal


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not the name of a repository"),
        ("App", "names are in lower case: library/app"),
        ("a b", "not the name of a repository"),
        ("a:", "not a tag"),
        ("a:" + "x" * 129, "not a tag"),
        ("a@sha256:12", "not a sha256 digest"),
        ("a@", "not a sha256 digest"),
        ("f" * 64, "an image's ID"),
        ("-h.example/app", "not the name of a registry"),
        ("h.example/" + "a" * 255, "longer than 255"),
        ("h.example/../x", "not the name of a repository"),
    ],
)
def test_a_bad_name_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        parse(text)


def test_hosts() -> None:
    assert api_host("docker.io") == "registry-1.docker.io"
    assert [is_local(h) for h in ("localhost:1", "127.0.0.9", "[::1]:5", "x.localhost", "localhost.evil.example")] == [
        True,
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        (
            'Bearer realm="https://a/token",service="reg",scope="repository:x:pull,push"',
            [Challenge("bearer", {"realm": "https://a/token", "service": "reg", "scope": "repository:x:pull,push"})],
        ),
        ('Basic realm="a \\"b\\""', [Challenge("basic", {"realm": 'a "b"'})]),
        ("Basic, Bearer realm=x", [Challenge("basic", {}), Challenge("bearer", {"realm": "x"})]),
        ("Negotiate", [Challenge("negotiate", {})]),
        (", ,=", []),
    ],
)
def test_challenges(header: str, challenges: list[Challenge]) -> None:
    assert parse_challenges([header]) == challenges


def find(environ: dict[str, str], domain: str, path: str = "team/app") -> Credentials | None:
    return trio.run(CredentialStore(environ).find, domain, path)


def test_credentials_are_found_where_docker_and_podman_keep_them(tmp_path: Path) -> None:
    def auth(text: str) -> dict[str, str]:
        return {"auth": base64.b64encode(text.encode()).decode()}

    docker = {"https://index.docker.io/v1/": auth("hub:h:1"), "https://old.example/v1/": auth("old:o")}
    docker["token.example"] = {**auth("t:"), "identitytoken": "refresh"}
    (tmp_path / "config.json").write_text(json.dumps({"auths": docker}))
    podman = {"quay.example/team": auth("team:t"), "quay.example": auth("all:a")}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": podman}))
    environ = {"DOCKER_CONFIG": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    assert find(environ, "docker.io") == Credentials("hub", "h:1")
    assert find(environ, "old.example") == Credentials("old", "o")
    assert find(environ, "token.example") == Credentials("t", identity_token="refresh")
    assert find(environ, "quay.example") == Credentials("team", "t")
    assert find(environ, "quay.example", "teams/app") == Credentials("all", "a")
    assert find(environ, "nowhere.example") is None
    assert "h:1" not in repr(find(environ, "docker.io"))


def test_a_broken_credential_file_is_named_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auths": {"x": secret')
    with pytest.raises(SourceError, match=r"config.json: .*") as caught:
        find({"DOCKER_CONFIG": str(tmp_path)}, "x")
    assert "secret" not in str(caught.value)


def test_settings_come_from_the_file_and_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[registry."docker.io"]\nmirrors = ["https://m.example/hub"]\n[registry."r:1"]\nhttp = true\nca = "c"'
    )
    settings = load_settings({"BAKERY_CONFIG": str(path), "BAKERY_REGISTRY_MIRRORS": "docker.io=first:5000"})
    assert settings.of("docker.io").mirrors == (Mirror("first:5000"), Mirror("m.example", "hub"))
    assert settings.of("r:1").schemes("r:1") == ("http",)
    assert settings.of("r:1").ca == tmp_path / "c"
    assert settings.of("other").schemes("other") == ("https",)
    assert settings.of("localhost:1").schemes("localhost:1") == ("http", "https")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[registry.x]\nhtpp = true", 'unknown setting "htpp"'),
        ("[registry.x]\nhttp = 1", "must be a bool"),
        ("registry = 1", "table of tables"),
        ("[", "cannot read"),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(SourceError, match=said):
        load_settings({"BAKERY_CONFIG": str(tmp_path / "c")})
