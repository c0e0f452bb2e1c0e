"""What targets ask of this machine, and what grants it. Every target counts, whatever is built beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.config import LoadRequest, check_allowed, load
from bakery.diagnostics import BakeryError

Requests = Callable[..., LoadRequest]

TARGETS = """
target "harmless" {{}}
target "context" {{ context = "{outside}" }}
target "named" {{ contexts = {{ other = "{outside}/sub" }} }}
target "dockerfile" {{ dockerfile = "{outside}/D" }}
target "secret" {{ secret = ["id=s,src={outside}/s"] }}
target "agent" {{ ssh = ["default"] }}
target "key" {{ ssh = ["k={outside}/s"] }}
target "cache-in" {{ cache-from = ["type=local,src={outside}/c"] }}
target "cache-out" {{ cache-to = ["type=local,dest={outside}/c"] }}
target "output" {{ output = ["type=local,dest={outside}/o"] }}
target "tar" {{ output = ["type=tar,dest={outside}/o.tar"] }}
target "stdout" {{ output = ["-"] }}
target "delete" {{ output = ["type=local,dest=o,mode=delete"] }}
target "host" {{ network = "host" }}
target "insecure" {{ entitlements = ["security.insecure"] }}
target "device" {{ entitlements = ["device=vendor.com/gpu=0"] }}
target "link" {{ context = "link" }}
"""


@pytest.fixture
def request_for(tmp_path: Path) -> Requests:
    work, outside = tmp_path / "work", tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "s").write_text("s")
    work.mkdir()
    (work / "link").symlink_to(outside)
    (work / "docker-bake.hcl").write_text(TARGETS.format(outside=outside))

    def make(*targets: str, **more: object) -> LoadRequest:
        env = {"SSH_AUTH_SOCK": "/agent", **more.pop("env", {})}  # type: ignore[dict-item]
        return LoadRequest(cwd=work, targets=targets, env=env, **more)  # type: ignore[arg-type]

    return make


def missing(request: LoadRequest) -> list[str]:
    outside = str(request.cwd.parent / "outside")
    return [problem.hint.replace(outside, "OUT") for problem in check_allowed(load(request), request)]


@pytest.mark.parametrize(
    ("target", "grants"),
    [
        ("harmless", []),
        ("stdout", []),
        ("context", ["--allow fs.read=OUT", "--allow fs.read=OUT/Dockerfile"]),
        ("named", ["--allow fs.read=OUT/sub"]),
        ("dockerfile", ["--allow fs.read=OUT/D"]),
        ("secret", ["--allow fs.read=OUT/s"]),
        ("agent", ["--allow ssh"]),
        ("key", ["--allow fs.read=OUT/s"]),
        ("cache-in", ["--allow fs.read=OUT/c"]),
        ("cache-out", ["--allow fs.write=OUT/c"]),
        ("output", ["--allow fs.write=OUT/o"]),
        ("tar", ["--allow fs.write=OUT/o.tar"]),
        ("delete", ["--allow buildx.local.delete"]),
        ("host", ["--allow network.host"]),
        ("insecure", ["--allow security.insecure"]),
        ("device", ["--allow device=vendor.com/gpu=0"]),
        ("link", ["--allow fs.read=link", "--allow fs.read=link/Dockerfile"]),
    ],
)
def test_what_a_target_needs(request_for: Requests, target: str, grants: list[str]) -> None:
    assert missing(request_for(target)) == grants
    assert missing(request_for(target, "harmless")) == grants
    assert missing(request_for("harmless", target)) == grants


def test_what_is_offered_is_enough(request_for: Requests) -> None:
    request = request_for("*")
    needed = [problem.hint.removeprefix("--allow ") for problem in check_allowed(load(request), request)]
    assert needed
    assert missing(request_for("*", allow=tuple(needed))) == []


def test_a_grant_covers_what_is_below_and_nothing_beside(request_for: Requests) -> None:
    outside = request_for().cwd.parent / "outside"
    assert missing(request_for("named", allow=(f"fs.read={outside}",))) == []
    assert missing(request_for("named", allow=(f"fs.write={outside}",))) == ["--allow fs.read=OUT/sub"]
    assert missing(request_for("secret", allow=(f"fs.read={outside}/su",))) == ["--allow fs.read=OUT/s"]
    assert missing(request_for("device", allow=("device=other",))) == ["--allow device=vendor.com/gpu=0"]
    assert missing(request_for("device", allow=("device",))) == []
    assert missing(request_for("output", allow=("fs=*",))) == []


def test_what_is_set_on_the_command_line_is_granted_with_it(request_for: Requests) -> None:
    outside = request_for().cwd.parent / "outside"
    dest = f"harmless.output=type=local,dest={outside}/x"
    assert missing(request_for("harmless", overrides=(dest,))) == []
    assert missing(request_for("harmless", overrides=("harmless.entitlements=network.host",))) == []
    context = f"harmless.context={outside}/sub"
    assert missing(request_for("harmless", overrides=(context,)))[0] == "--allow fs.read=OUT/sub"


def test_files_are_left_out_of_it_where_the_environment_says_so(request_for: Requests) -> None:
    env = {"BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
    assert missing(request_for("secret", env=env)) == []
    assert missing(request_for("host", env=env)) == ["--allow network.host"]


def test_a_command_is_allowed_word_by_word(tmp_path: Path) -> None:
    (tmp_path / "bakery.hcl").write_text('target "t" { secret = ["id=k,command=pass show k"] }')

    def asked(*allow: str, **more: object) -> list[str]:
        request = LoadRequest(cwd=tmp_path, targets=("t",), env={}, allow=allow, **more)  # type: ignore[arg-type]
        return [problem.hint for problem in check_allowed(load(request), request)]

    assert asked() == ["--allow 'secret.command=pass show k'"]
    assert asked("secret.command=pass show") == asked("fs=*") == asked()
    assert asked("secret.command=pass show k") == asked("secret.command") == []
    assert asked(overrides=("t.secret.k=command=other",)) == []
    assert asked(overrides=("t.tags=command=other",)) == asked()


def test_unknown_grants_are_said_so(request_for: Requests) -> None:
    with pytest.raises(BakeryError, match='unknown entitlement key "nothing"'):
        missing(request_for("harmless", allow=("nothing",)))
