"""Switches as Go's flags have them: on by themselves, and with a value only after `=`."""

from __future__ import annotations

import click


class SwitchCommand(click.Command):
    """A command whose options with a `flag_value` never take the next argument: `--no-cache web` builds web."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """As any command does, with each bare switch written out (`--no-cache=true`)."""
        switches = {
            option: f"{option}={parameter.flag_value}"
            for parameter in self.params
            if isinstance(parameter, click.Option) and not parameter.is_flag and isinstance(parameter.flag_value, str)
            for option in parameter.opts
        }
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(context, [*(switches.get(a, a) for a in args[:end]), *args[end:]])
