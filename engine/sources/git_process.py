"""Runs the system's git so that nothing it reads can make it do more than it was asked to.

No configuration but ours is read; only http, https, ssh and git are spoken; no hook, filter or prompt runs. Secrets go
through the environment, where other users of the machine do not see them.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from urllib.parse import urlsplit

import trio

from engine.errors import SourceError, UnsupportedError
from engine.registry.retry import Patience
from engine.sources.git_faults import is_unreachable, passes
from engine.values import frozen

PROTOCOLS = ("http", "https", "ssh", "git")
PATIENCE = 1800.0
"""Seconds that one command may take; a transfer that stalls ends much earlier."""
MAX_SAID = 400

_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.autocrlf": "false",
    "gc.auto": "0",
    "init.defaultBranch": "master",
    "advice.detachedHead": "false",
    "protocol.allow": "never",
    # A server that sends less than 1000 bytes a second for half a minute has gone.
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "safe.directory": "*",
}


@frozen
class Access:
    """What a remote is given: an `Authorization` header, and the host keys to believe (lines of known_hosts)."""

    header: str = field(default="", repr=False)
    known_hosts: Path | None = None

    @classmethod
    def of_token(cls, token: str) -> Access:
        """As GitHub and others take tokens: basic, with any user name."""
        return cls("basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode())


async def git(
    arguments: Sequence[str],
    *,
    what: str,
    remote: str = "",
    access: Access | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    local: bool = False,
) -> bytes:
    """Runs a git command and gives what it wrote. `what` completes the sentence "cannot …".

    `remote` is the address that `access` holds for; `local` lets git read other folders of this machine.

    Raises:
        SourceError: if it fails, with what it said.
        UnsupportedError: if there is no git.
    """
    env = _environment(remote, access or Access(), local) | dict(environment or {})
    try:
        with trio.fail_after(PATIENCE):
            done = await (_persist(arguments, env, folder) if remote else _run(arguments, env, folder))
    except FileNotFoundError:
        raise UnsupportedError(f"cannot {what}: git is not installed", hint="install it: apt-get install git") from None
    except trio.TooSlowError:
        raise SourceError(f"cannot {what}: git took more than {PATIENCE / 60:.0f} minutes") from None
    if done.returncode:
        raise SourceError(f"cannot {what}: {_said(done.stderr)}", hint=_hint(done.stderr))
    return done.stdout


async def _run(
    arguments: Sequence[str], env: Mapping[str, str], folder: Path | None
) -> subprocess.CompletedProcess[bytes]:
    return await trio.run_process(
        ["git", *arguments],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        umask=0o022,
        start_new_session=True,  # no terminal that ssh could ask on
    )


async def _persist(
    arguments: Sequence[str], env: Mapping[str, str], folder: Path | None
) -> subprocess.CompletedProcess[bytes]:
    """Runs git until it succeeds, fails for good, or patience ends; git itself never asks a server twice."""
    patience = Patience()
    unreachable = 0
    for attempt in range(patience.attempts - 1):
        done = await _run(arguments, env, folder)
        unreachable += is_unreachable(done.stderr)
        if not done.returncode or not passes(done.stderr) or unreachable >= patience.connects:
            return done
        await trio.sleep(patience.pause(attempt))
    return await _run(arguments, env, folder)


def check_remote(url: str) -> str:
    """A remote's address, if git can be given it.

    Raises:
        SourceError: if it is of a protocol that is not spoken, or could be taken for an option.
    """
    scheme = urlsplit(url).scheme.lower() if "://" in url else "ssh"
    short_host = url.partition(":")[0]
    # `HELPER::ADDRESS` would run a program of that name.
    if (
        scheme not in PROTOCOLS
        or url.startswith("-")
        or ("::" in url and "://" not in url)
        or any(c in url for c in "\0\n\r")
    ):
        raise SourceError(f"{url!r} is no address of a git repository", hint=f"known are {', '.join(PROTOCOLS)}")
    host = urlsplit(url).netloc if "://" in url else short_host
    # `ssh://-oProxyCommand=…` (CVE-2017-1000117); git refuses it, too.
    if host.rpartition("@")[2].startswith("-") or ("://" not in url and ("/" in short_host or ":" not in url)):
        raise SourceError(f"{url!r} is no address of a git repository", hint="write https://HOST/PATH.git")
    return url


def shown(url: str) -> str:
    """A remote's address without user and password."""
    parts = urlsplit(url)
    if "://" not in url or parts.password is None:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _environment(remote: str, access: Access, local: bool) -> dict[str, str]:
    kept = ("PATH", "HOME", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
    proxies = [n for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for n in (name, name.upper())]
    env = {name: os.environ[name] for name in (*kept, *proxies) if name in os.environ}
    config = dict(_CONFIG)
    for protocol in (*PROTOCOLS, *(("file",) if local else ())):
        config[f"protocol.{protocol}.allow"] = "always"
    if access.header:
        parts = urlsplit(remote)
        config[f"http.{parts.scheme}://{parts.netloc.rpartition('@')[2]}/.extraHeader"] = (
            f"Authorization: {access.header}"
        )
    for number, (name, value) in enumerate(config.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return env | {
        "GIT_CONFIG_COUNT": str(len(config)),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": _ssh(access),
        "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C",
        "TZ": "UTC",
    }


def _ssh(access: Access) -> str:
    options = ["BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=15", "StrictHostKeyChecking=yes"]
    if access.known_hosts:
        options.append(f"UserKnownHostsFile={access.known_hosts}")
    return " ".join(("ssh", *(f"-o {option}" for option in options)))


def _said(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "ERROR"))] or lines
    said = "; ".join(dict.fromkeys(errors)) or "git failed without a word"
    said = "".join(c if c.isprintable() else " " for c in said)
    return said if len(said) <= MAX_SAID else said[:MAX_SAID] + "…"


def _hint(stderr: bytes) -> str:
    said = stderr.decode(errors="replace")
    if "could not read Username" in said or "Authentication failed" in said or "403" in said:
        return "for a private repository give a token: --secret id=GIT_AUTH_TOKEN,env=…"
    if "Host key verification failed" in said:
        return "add the host's key to ~/.ssh/known_hosts"
    if "Permission denied (publickey" in said:
        return "start an ssh agent with a key that the host knows"
    return "check the address and the network"
