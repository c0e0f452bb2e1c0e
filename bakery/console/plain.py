"""BuildKit's plain progress: one numbered block of lines after another, fit for a log file.

    #5 [build 2/3] RUN make
    #5 0.213 cc -c main.c
    #5 DONE 1.2s

One step has the floor at a time. What has ended is told first; the step with the floor keeps it while it runs, but
gives it up (`#5 ...`) when others have had something to say for a while. Unlike BuildKit's, an unfinished line is held
until it is whole, so that the output of two steps never meets in one line.
"""

from __future__ import annotations

from dataclasses import field

from bakery.console.model import Change, LogLine, Model, State, Step
from bakery.console.text import log_time, printable, transferred
from bakery.values import record
from engine.events import Event, Status

FLOOR = 5.0
"""Seconds that a running step keeps the floor while others wait."""
STATUS_PAUSE = 5.0
STATUS_STEP = 0.05
"""A transfer is told again after so many seconds, or when this part of it has come since."""


@record
class _Voice:
    """What a step still has to say."""

    step: Step
    number: int = 0
    since: float = 0.0
    """When the oldest unsaid thing came up."""
    lines: list[LogLine] = field(default_factory=list)
    updated: dict[str, None] = field(default_factory=dict)
    told: dict[str, Status] = field(default_factory=dict)
    warnings_told: int = 0


class PlainView:
    """Takes events in; `render` gives the text that is due."""

    def __init__(self, model: Model, colours: bool = True) -> None:
        self._model = model
        self._colours = colours
        self._voices: dict[str, _Voice] = {}
        self._waiting: dict[str, _Voice] = {}
        self._floor: _Voice | None = None
        self._floor_since = 0.0
        self._numbers = 0
        self._out: list[str] = []

    def feed(self, event: Event) -> None:
        """Take an event in."""
        change = self._model.apply(event)
        if change is None:
            return
        step = change.step
        voice = self._voices.get(step.key)
        if voice is None:
            voice = self._voices[step.key] = _Voice(step)
        self._note(voice, change, event)

    def _note(self, voice: _Voice, change: Change, event: Event) -> None:
        voice.lines += change.lines
        if isinstance(event, Status):
            voice.updated[event.id] = None
        if voice.step.hidden or voice.step.state is State.WAITING:
            return
        if voice.step.key not in self._waiting:
            voice.since = getattr(event, "time", voice.since)
            self._waiting[voice.step.key] = voice

    def render(self, now: float) -> str:
        """The text that has become due."""
        finished = [v for v in self._waiting.values() if v.step.finished]
        finished.sort(key=lambda v: (v is not self._floor, v.step.clock.ended))
        for voice in finished:
            self._speak(voice, now)
        self._give_floor(now)
        text = "".join(f"{line}\n" for line in self._out)
        self._out.clear()
        return text

    def final(self, now: float) -> str:
        """What is left to say at the end; steps that never ended are told as they are."""
        text = self.render(now)
        for voice in list(self._waiting.values()):
            self._speak(voice, now)
        return text + self.render(now)

    def _give_floor(self, now: float) -> None:
        floor = self._floor
        if floor and floor.step.key in self._waiting:
            self._speak(floor, now)
        others = [v for v in self._waiting.values() if v is not floor]
        if floor and (not others or now - self._floor_since < FLOOR):
            return
        if others:
            self._speak(min(others, key=lambda v: v.since), now)
        elif self._model.running and not floor:
            self._speak(self._voices[next(iter(self._model.running))], now)

    def _speak(self, voice: _Voice, now: float) -> None:
        self._waiting.pop(voice.step.key, None)
        self._introduce(voice, now)
        for id_ in list(voice.updated):
            self._tell_transfer(voice, voice.step.transfers[id_])
        for warning in voice.step.warnings[voice.warnings_told :]:
            self._say(voice, f"WARN: {printable(warning.short.encode())}")
        voice.warnings_told = len(voice.step.warnings)
        for line in voice.lines:
            self._say(voice, f"{log_time(line.offset)} {printable(line.text, self._colours)}")
        voice.lines.clear()
        if voice.step.finished:
            self._say(voice, _ending(voice.step, now))
            self._floor = None

    def _introduce(self, voice: _Voice, now: float) -> None:
        if voice is self._floor:
            return
        if self._floor:
            self._say(self._floor, "...")
        if self._numbers:
            self._out.append("")
        if not voice.number:
            self._numbers += 1
            voice.number = self._numbers
        self._say(voice, printable(self._model.title(voice.step).replace("\n", " ").encode()))
        self._floor, self._floor_since = voice, now

    def _tell_transfer(self, voice: _Voice, status: Status) -> None:
        last = voice.told.get(status.id)
        if last and not status.completed and not voice.step.finished:
            part = (status.current - last.current) / status.total if status.total else 0.0
            if part < STATUS_STEP and status.time - last.time < STATUS_PAUSE:
                return
        voice.updated.pop(status.id)
        voice.told[status.id] = status
        seconds = status.time - status.started
        words = [status.id, transferred(status.current, status.total)]
        words += [f"{seconds:.1f}s" if seconds > 0.01 else "", "done" if status.completed else ""]
        self._say(voice, " ".join(filter(None, words)))

    def _say(self, voice: _Voice, text: str) -> None:
        self._out.append(f"#{voice.number} {text}")


def _ending(step: Step, now: float) -> str:
    match step.state:
        case State.FAILED:
            return f"ERROR: {printable(step.error.replace(chr(10), ' ').encode())}"
        case State.CANCELLED:
            return "CANCELED"
        case State.CACHED:
            return "CACHED"
        case _:
            return f"DONE {step.clock.seconds(now):.1f}s"
