"""The `bakery` command: arguments in, exit code out. 0: done; 1: failed; 2: wrong usage; 130: interrupted."""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType

from bakery.cli.deferrals import defer_rare_imports

_INTERRUPTED, _TERMINATED = 130, 143


def main() -> None:
    """Runs the command of this process's arguments and ends the process with its exit code."""
    # Most of what a command makes are modules, classes and a graph, which are no garbage: Python would look every 700
    # objects. A build of 30 targets that has nothing to do makes 60,000, and one look at those is a twentieth of it.
    gc.set_threshold(500_000, 10, 10)
    defer_rare_imports()
    code = command()
    if sys.stderr:
        sys.stderr.flush()
    # Not by way of the interpreter, which would take every module apart: a tenth of a build that has nothing to do.
    # Nothing of ours waits for it: what a room opens it closes itself, and no thread that matters is left behind.
    os._exit(code)


def command() -> int:
    """Runs the command of this process's arguments and returns its exit code. Nothing it raises reaches the caller."""
    if sys.argv[1:] in (["--version"], ["-V"]):  # without click, which is most of the time it would take
        from bakery.version import VERSION

        sys.stdout.write(f"bakery {VERSION}\n")
        return _flushed(0)
    terminated = _interrupt_on_terminate()
    try:
        code = _flushed(_run())
    except KeyboardInterrupt:  # while what answers it was being imported, or had begun to
        sys.stderr.write("\nERROR: canceled\n")
        code = _INTERRUPTED
    return _TERMINATED if terminated and code == _INTERRUPTED else code


def _run() -> int:
    import click

    from bakery.cli.app import cli
    from bakery.diagnostics import BakeryError

    try:
        result = cli.main(prog_name="bakery", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except BakeryError as error:
        from bakery.cli.complaints import report_error

        report_error(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("ERROR: canceled", err=True)
        return _INTERRUPTED
    except SystemExit as leave:  # click's answer to a closed pipe
        return leave.code if isinstance(leave.code, int) else 1
    except BaseException as error:
        from bakery.cli.failure import report_failure

        return report_failure(error)


def _interrupt_on_terminate() -> list[bool]:
    """Make SIGTERM end a build as tidily as Ctrl-C does. The list gets an item when it comes."""
    came: list[bool] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(True)
        # Not raised here: trio delivers an interrupt where it can be handled, and only when it is a SIGINT.
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, interrupt)
    # A shell starts background jobs with interrupts ignored; then SIGTERM would come to nothing, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return came


def _flushed(code: int) -> int:
    """The exit code, once stdout has taken everything; a reader that has gone away (`| head`) is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Else the interpreter tries again on its way out, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    main()
