"""Instructions that only change the image's config (and WORKDIR, which also makes a folder)."""

from __future__ import annotations

from functools import partial
from typing import Any

from engine.frontends.dockerfile.gotext import format_duration, parse_int, quote_list, value_list
from engine.frontends.dockerfile.instructions import (
    Cmd,
    CommandLine,
    Entrypoint,
    Env,
    Expose,
    Health,
    Healthcheck,
    Labels,
    Maintainer,
    Onbuild,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from engine.frontends.dockerfile.lower import paths, ports
from engine.frontends.dockerfile.lower.names import count, prefixed, shown
from engine.frontends.dockerfile.lower.scope import Scope
from engine.frontends.dockerfile.lower.stage import Stage
from engine.frontends.dockerfile.source import DockerfileError
from engine.llb.actions import mkdir
from engine.llb.nodes import Label
from engine.llb.ops import KEEP

_SIGNALS = frozenset(
    [
        "ABRT",
        "ALRM",
        "BUS",
        "CHLD",
        "CLD",
        "CONT",
        "FPE",
        "HUP",
        "ILL",
        "INT",
        "IO",
        "IOT",
        "KILL",
        "PIPE",
        "POLL",
        "PROF",
        "PWR",
        "QUIT",
        "SEGV",
        "STKFLT",
        "STOP",
        "SYS",
        "TERM",
        "TRAP",
        "TSTP",
        "TTIN",
        "TTOU",
        "URG",
        "USR1",
        "USR2",
        "VTALRM",
        "WINCH",
        "XCPU",
        "XFSZ",
        "RTMIN",
        "RTMAX",
    ]
    + [f"RTMIN+{n}" for n in range(1, 16)]
    + [f"RTMAX-{n}" for n in range(1, 15)]
)
_NANOSECONDS = 1_000_000_000


def _record(scope: Scope, stage: Stage, text: str) -> None:
    stage.image.record(text, layer=False, epoch=scope.epoch)


def lower_env(scope: Scope, stage: Stage, env: Env) -> None:
    """Sets variables; all of a line see only what was set before it."""
    expand = scope.words(stage, env)
    pairs = [(expand(pair.key), expand(pair.value)) for pair in env.pairs]
    scope.observer.assigned(env, [key for key, _ in pairs])
    for key, value in pairs:
        stage.state = stage.state.set_env(key, value)
        stage.image.set_env(key, value)
    _record(scope, stage, " ".join(["ENV", *(f"{key}={value}" for key, value in pairs)]))


def lower_labels(scope: Scope, stage: Stage, labels: Labels) -> None:
    """Sets labels."""
    expand = scope.words(stage, labels)
    pairs = [(expand(pair.key), expand(pair.value)) for pair in labels.pairs]
    stage.image.add_labels(dict(pairs))
    _record(scope, stage, " ".join(["LABEL", *(f"{key}={value}" for key, value in pairs)]))


def lower_maintainer(scope: Scope, stage: Stage, maintainer: Maintainer) -> None:
    """Sets the author."""
    stage.image.author = maintainer.name
    _record(scope, stage, f"MAINTAINER {maintainer.name}")


def command_words(stage: Stage, command: CommandLine) -> list[str]:
    """The words to execute; a text goes to the shell of the stage."""
    words = list(command.words)
    return [*stage.image.shell(), " ".join(words)] if command.shell else words


def lower_cmd(scope: Scope, stage: Stage, cmd: Cmd) -> None:
    """Sets the command."""
    words = command_words(stage, cmd.command)
    stage.command_set = True
    stage.image.put("Cmd", words)
    stage.image.put("ArgsEscaped", True)
    _record(scope, stage, "CMD " + quote_list(words))


def lower_entrypoint(scope: Scope, stage: Stage, entrypoint: Entrypoint) -> None:
    """Sets the entry point; a command that the base had is none for it."""
    words = command_words(stage, entrypoint.command)
    stage.image.put("Entrypoint", words)
    if not stage.command_set:
        stage.image.put("Cmd", None)
    _record(scope, stage, "ENTRYPOINT " + quote_list(words))


def lower_healthcheck(scope: Scope, stage: Stage, check: Healthcheck) -> None:
    """Sets the health check."""
    health = check.health
    fields: dict[str, Any] = {
        "Test": list(health.test),
        "Interval": health.interval,
        "Timeout": health.timeout,
        "StartPeriod": health.start_period,
        "StartInterval": health.start_interval,
        "Retries": health.retries,
    }
    stage.image.config["Healthcheck"] = {key: value for key, value in fields.items() if value}
    _record(scope, stage, "HEALTHCHECK " + _health_text(health))


def _health_text(health: Health) -> str:
    times = {
        "Interval": health.interval,
        "Timeout": health.timeout,
        "StartPeriod": health.start_period,
        "StartInterval": health.start_interval,
    }
    written = " ".join(f"{key}:{format_duration(value)}" for key, value in times.items())
    return f"{{Test:{value_list(health.test)} {written} Retries:{health.retries}}}"


def lower_expose(scope: Scope, stage: Stage, expose: Expose) -> None:
    """Adds ports."""
    seen = partial(scope.observer.exposed, expose)
    found = ports.parse_all(expose.ports, scope.expander, stage.state.env, seen)
    stage.image.add_names("ExposedPorts", found)
    _record(scope, stage, "EXPOSE " + value_list(found))


def lower_user(scope: Scope, stage: Stage, user: User) -> None:
    """Sets the user of later steps and of the container."""
    name = scope.words(stage, user)(user.user)
    stage.state = stage.state.user(name)
    stage.image.put("User", name)
    _record(scope, stage, f"USER {name}")


def lower_volume(scope: Scope, stage: Stage, volume: Volume) -> None:
    """Adds volumes."""
    names = list(map(scope.words(stage, volume), volume.paths))
    if not all(names):
        raise DockerfileError("VOLUME specified can not be an empty string")
    stage.image.add_names("Volumes", names)
    _record(scope, stage, "VOLUME " + value_list(names))


def lower_stop_signal(scope: Scope, stage: Stage, stop: StopSignal) -> None:
    """Sets the signal that ends the container."""
    name = scope.words(stage, stop)(stop.signal)
    try:
        known = parse_int(name) != 0
    except ValueError:
        known = name.upper().removeprefix("SIG") in _SIGNALS
    if not known:
        raise DockerfileError(f"invalid signal: {name}")
    stage.image.put("StopSignal", name)
    _record(scope, stage, f"STOPSIGNAL {name}")


def lower_shell(scope: Scope, stage: Stage, shell: Shell) -> None:
    """Sets what runs commands that are text."""
    stage.image.put("Shell", list(shell.words))
    _record(scope, stage, "SHELL " + value_list(shell.words))


def lower_onbuild(scope: Scope, stage: Stage, onbuild: Onbuild) -> None:
    """Leaves an instruction to whoever builds on this image."""
    stage.image.put("OnBuild", [*stage.image.words("OnBuild"), onbuild.trigger])


def enter(stage: Stage, path: str) -> str:
    """Moves to a working directory, in the config and for later steps; gives it back with slashes."""
    os = stage.platform.os if stage.platform else ""
    found = paths.workdir(stage.image.text("WorkingDir"), path, os)
    stage.image.put("WorkingDir", found)
    folder = paths.to_slash(found, os)
    stage.state = stage.state.dir(folder)
    return folder


def lower_workdir(scope: Scope, stage: Stage, workdir: Workdir) -> None:
    """Moves to a working directory and makes it, for the user who is set; `/` needs no layer."""
    path = scope.words(stage, workdir)(workdir.path)
    scope.observer.entered(workdir, stage, path)
    folder = enter(stage, path)
    if folder != "/":
        count(stage)
        env = stage.state.env
        name = prefixed(stage, shown(workdir.code, scope.expander, env), stage.platform, env)
        timestamp = KEEP if scope.epoch is None else scope.epoch * _NANOSECONDS
        stage.state = stage.state.file(
            mkdir(folder, 0o755, parents=True, owner=stage.image.text("User") or None, timestamp=timestamp),
            Label(name, places=scope.places(workdir)),
        )
    stage.image.record(f"WORKDIR {folder}", layer=folder != "/", epoch=scope.epoch)
