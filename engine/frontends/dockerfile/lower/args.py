"""ARG: the values of the platform, those before the first FROM, and those of a stage."""

from __future__ import annotations

from collections.abc import Mapping

from engine import platforms
from engine.frontends.dockerfile.expand import Expander, ExpansionError
from engine.frontends.dockerfile.instructions import Arg, ArgName
from engine.frontends.dockerfile.lower import platform as spelling
from engine.frontends.dockerfile.lower.scope import Scope
from engine.frontends.dockerfile.lower.stage import Stage
from engine.frontends.dockerfile.source import DockerfileError
from engine.llb.ops import Platform
from engine.llb.state import Env

_NOT_ENV = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})


def predefined(build: Platform, target: Platform, given: Mapping[str, str], stage: str) -> Env:
    """The values that nobody need declare before FROM; a build argument of the same name wins."""
    values = {
        "BUILDPLATFORM": platforms.format(build),
        "BUILDOS": build.os,
        "BUILDOSVERSION": build.os_version,
        "BUILDARCH": build.architecture,
        "BUILDVARIANT": build.variant,
        "TARGETPLATFORM": spelling.format_all(target),
        "TARGETOS": target.os,
        "TARGETOSVERSION": target.os_version,
        "TARGETARCH": target.architecture,
        "TARGETVARIANT": target.variant,
        "TARGETSTAGE": stage or "default",
    }
    return Env({key: given.get(key, value) for key, value in values.items()})


def global_values(known: Env, declared: tuple[Arg, ...], given: Mapping[str, str], expander: Expander) -> Env:
    """With the ARGs before the first FROM.

    Raises:
        DockerfileError: with the line.
    """
    for arg in declared:
        for name in arg.names:
            value = given.get(name.key, name.value)
            if name.value is not None and name.key not in given:
                try:
                    value = expander.text(name.value, known)
                except ExpansionError as error:
                    raise DockerfileError(str(error), arg.lines) from None
            if value is not None:
                known = known.set(name.key, value)
    return known


def lower_arg(scope: Scope, stage: Stage, arg: Arg) -> None:
    """Declares names in a stage. A build argument wins, then the default here, then the value before FROM."""
    written = []
    for name in arg.names:
        scope.observer.declared(arg, name.key)
        value = scope.build_args.get(name.key)
        if value is None and name.value is not None:
            value = scope.words(stage, arg)(name.value)
        elif value is None:
            value = scope.global_args.get(name.key)
        if value is not None and name.key not in _NOT_ENV:
            stage.state = stage.state.set_env(name.key, value)
        stage.args.append(ArgName(name.key, value, name.description))
        written.append(name.key if value is None else f"{name.key}={value}")
    stage.image.record("ARG " + " ".join(written), layer=False, epoch=scope.epoch)
