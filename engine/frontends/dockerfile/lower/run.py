"""RUN: the command line, its surroundings, and its heredocs."""

from __future__ import annotations

from engine.errors import DefinitionError
from engine.frontends.dockerfile.expand import Expander
from engine.frontends.dockerfile.gotext import SPACE, value_list
from engine.frontends.dockerfile.heredoc import try_word
from engine.frontends.dockerfile.instructions import Run
from engine.frontends.dockerfile.lower import mounts
from engine.frontends.dockerfile.lower.names import count, internal, prefixed, shown
from engine.frontends.dockerfile.lower.scope import Scope
from engine.frontends.dockerfile.lower.stage import Command, Stage
from engine.frontends.dockerfile.mount import RunMount
from engine.frontends.dockerfile.source import DockerfileError
from engine.frontends.dockerfile.syntax import LABS_LINE
from engine.frontends.dockerfile.words import SURROGATE
from engine.llb.actions import mkfile
from engine.llb.execution import MountSpec
from engine.llb.nodes import Label
from engine.llb.ops import CDIDevice, NetMode, SecurityMode
from engine.llb.paths import join
from engine.llb.state import Env, bind, scratch, tmpfs

DOCUMENTS = "/dev/pipes/"
_MASK = "****"
_NETWORKS = {"default": None, "none": NetMode.NONE, "host": NetMode.HOST}
_SECURITIES = {"sandbox": SecurityMode.SANDBOX, "insecure": SecurityMode.INSECURE}


def lower_run(scope: Scope, stage: Stage, run: Run, command: Command) -> None:
    """Adds a step to a stage.

    Raises:
        DockerfileError: for a mount that makes no sense.
        DefinitionError: for a device in a Dockerfile that has not asked for the labs channel.
    """
    parsed = mounts.expanded(run, scope.words(stage, run)) if run.mounts else []
    scope.observer.mounted(run, stage, parsed)
    stage.paths.add("/")  # a command can look at everything
    words, summary, document = _command(stage, run)
    env = stage.state.env
    found = mounts.lower(scope, stage, parsed, command.sources)
    if run.devices and not scope.labs:
        raise DefinitionError(
            "device feature is only supported in Dockerfile frontend 1.14.0-labs or later",
            hint=f"begin the Dockerfile with the line `{LABS_LINE}`",
        )
    options = scope.options
    shared = [tmpfs("/dev/shm", options.shm_size)] if options.shm_size > 0 else []
    count(stage)
    namer = Expander(scope.expander.escape, keep_quotes=True, keep_unset=True)
    name = shown(run.code + summary, namer, _masked(env, parsed))
    label = Label(
        prefixed(stage, name, stage.state.platform, env),
        run.code,
        scope.places(run),
        ignore_cache=stage.ignore_cache,
        resources=options.resources,
    )
    stage.state = stage.state.run(
        words,
        mounts=[*document, *found.mounts, *shared],
        secrets=found.secrets,
        ssh=found.ssh,
        network=_NETWORKS[run.network],
        security=_SECURITIES[run.security],
        devices=[CDIDevice(device.name, not device.required) for device in run.devices],
        proxy=options.proxy,
        extra_hosts=options.hosts,
        ulimits=options.ulimits,
        cgroup_parent=options.cgroup_parent,
        label=label,
    ).root()
    stage.image.record(f"RUN {_with_args(stage, words, env)} # buildkit", layer=True, epoch=scope.epoch)


def _command(stage: Stage, run: Run) -> tuple[list[str], str, list[MountSpec]]:
    """The words to execute, what its name says of a heredoc, and the mount of a heredoc that is a script."""
    command = run.command
    words = list(command.words)
    summary = ""
    mount: list[MountSpec] = []
    if docs := command.heredocs:
        if len(words) != 1 or not command.shell:
            raise DockerfileError(f"parsing produced an invalid run command: {value_list(words)}")
        if any(SURROGATE.search(doc.content) for doc in docs):
            raise DockerfileError("the heredoc is not valid UTF-8")
        if try_word(words[0]) is None:  # it is only part of a command, so the shell gets all of it
            words = [words[0] + "".join(f"\n{doc.content}{doc.name}" for doc in docs)]
        else:
            summary = f" ({_summary(docs[0].content)})"
            words, mount = _script(stage, docs[0].name, docs[0].text)
    if command.shell:
        words = [*stage.image.shell(), " ".join(words)]
    return words, summary, mount


def _script(stage: Stage, name: str, text: str) -> tuple[list[str], list[MountSpec]]:
    """A heredoc alone: a file to be executed if it begins with `#!`, else a text for the shell."""
    if stage.image.platform.os == "windows" or not text.startswith("#!"):
        return [text], []
    label = Label(internal("preparing inline document"))
    made = scratch().file(mkfile(name, 0o755, text.encode()), label)
    return [join(DOCUMENTS, name)], [bind(DOCUMENTS, made, path="/", readonly=True)]


def _summary(text: str) -> str:
    first, more, _ = text.strip(SPACE).replace("\r\n", "\n").partition("\n")
    return first + "..." if more else first


def _masked(env: Env, parsed: list[RunMount]) -> Env:
    """The environment for a step's name: it shows that a variable is a secret."""
    for mount in parsed:
        if mount.type == "secret" and mount.env is not None:
            env = env.set(mount.env, _MASK)
    return env


def _with_args(stage: Stage, words: list[str], env: Env) -> str:
    """The command behind the ARGs it can see, as the history has it: `|1 X=y /bin/sh -c …`."""
    values: dict[str, str] = {}
    for arg in stage.args:
        value = env.get(arg.key)
        values[arg.key] = (arg.value or "") if value is None else value
    shown_args = [f"{key}={value}" for key, value in values.items()]
    return " ".join([f"|{len(values)}", *shown_args, *words] if values else words)
