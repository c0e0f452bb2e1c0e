"""The ways to a registry: through proxies of the environment, and past servers that want a certificate of ours."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from support.http_proxy import http_proxy
from support.registry_server import RegistryServer, registry_server

from engine.errors import RegistryError
from engine.registry.client import Registries
from engine.registry.retry import is_final, wants_certificate
from engine.registry.settings import HostSettings, RegistrySettings
from tests.engine.registry.test_client import BLOB, client, pull, push, run


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def certificates(folder: Path) -> None:
    """An authority, the server's certificate and ours, as files of a folder."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name, identity in (("server", "localhost"), ("mine", "baker@example.org")):
        made = authority.issue_cert(identity)
        made.private_key_pem.write_to_path(folder / f"{name}.key")
        made.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")


def there_and_back(name: str, settings: RegistrySettings | None = None) -> None:
    async def story(registries: Registries) -> bytes:
        return await pull(registries, name, await push(registries, name))

    assert run(story, client(settings)) == BLOB


def test_plain_http_goes_through_the_proxy(registry: RegistryServer, environment: pytest.MonkeyPatch) -> None:
    with http_proxy() as proxy:
        environment.setenv("HTTP_PROXY", proxy.url)
        there_and_back(f"{registry.host}/proxied")
    assert any(line.startswith(f"GET http://{registry.host}/v2/proxied/blobs/") for line in proxy.asked)


def test_what_no_proxy_names_is_spoken_to_itself(registry: RegistryServer, environment: pytest.MonkeyPatch) -> None:
    with http_proxy() as proxy:
        environment.setenv("HTTP_PROXY", proxy.url)
        environment.setenv("NO_PROXY", "example.org,localhost")
        there_and_back(f"{registry.host}/direct")
    assert proxy.asked == []


def test_tls_goes_through_the_proxy_as_it_is(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    certificates(tmp_path)
    with (
        registry_server(
            tmp_path / "registry", certificate=tmp_path / "server.pem", key=tmp_path / "server.key"
        ) as registry,
        http_proxy() as proxy,
    ):
        environment.setenv("HTTPS_PROXY", proxy.url)
        there_and_back(f"{registry.host}/app", RegistrySettings({registry.host: HostSettings(ca=tmp_path / "ca.pem")}))
    assert set(proxy.asked) == {f"CONNECT {registry.host}"}


def test_a_registry_may_want_our_certificate(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    certificates(tmp_path)
    ca, mine, key = tmp_path / "ca.pem", tmp_path / "mine.pem", tmp_path / "mine.key"
    with registry_server(
        tmp_path / "registry", certificate=tmp_path / "server.pem", key=tmp_path / "server.key", clients=ca
    ) as registry:
        name = f"{registry.host}/app"
        there_and_back(name, RegistrySettings({registry.host: HostSettings(ca=ca, cert=mine, key=key)}))
        with pytest.raises(RegistryError, match="cannot be reached"):
            there_and_back(name, RegistrySettings({registry.host: HostSettings(ca=ca)}))


def test_what_a_server_says_of_our_certificate_is_told_from_other_faults() -> None:
    # Whether its words arrive before the end of the connection is chance, so they are not waited for above.
    broken = OSError("broken")
    broken.__cause__ = ssl.SSLError(1, "[SSL: SSLV3_ALERT_BAD_CERTIFICATE] sslv3 alert bad certificate (_ssl.c:2580)")
    assert wants_certificate(broken)
    assert not is_final(broken)
    assert not wants_certificate(OSError("certificate"))
    assert not wants_certificate(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"))
