"""A real Chromium, driven as a hand drives it: mouse, wheel and keys come in where the window system's would.

The DevTools protocol (chromedevtools.github.io/devtools-protocol) over two pipes: no port, and no library.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 300.0
"""Seconds for one answer, of a machine that has much else to do."""
WIDTH, HEIGHT = 1400, 900
_KEYS = {"Enter": 13, "Escape": 27}


class Browser:
    """One page in a browser, and everything that it complained of or asked the network for."""

    def __init__(self, requests: int, answers: int) -> None:
        self._requests = requests
        self._answers = answers
        self._rest = b""
        self._count = 0
        self._session = ""
        self.complaints: list[str] = []
        """Errors and everything written to the console."""
        self.asked: list[str] = []
        """The addresses that were asked for; a page's own among them, what lies in the page itself not."""

    def open(self, page: Path) -> None:
        """Shows a page, and waits until it is loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=page.as_uri())
        self.until(f"location.href === {json.dumps(page.as_uri())} && document.readyState === 'complete'")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command, and its answer."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._requests, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._heard()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                found: dict[str, Any] = answer["result"]
                return found

    def value(self, expression: str) -> Any:
        """What an expression of the page comes to."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str) -> Any:
        """What an expression of the page comes to once it is something: what a page does later is not done yet."""
        end = time.monotonic() + PATIENCE
        while not (found := self.value(expression)):
            assert time.monotonic() < end, f"never: {expression}"
            time.sleep(0.05)
        return found

    def middle(self, selector: str) -> tuple[float, float]:
        """Where on the screen an element is that must be in sight, and nothing before it."""
        there = f"document.querySelector({json.dumps(selector)})"
        self.value(f"{there}.scrollIntoView({{ block: 'nearest' }})")
        box = f"{there}.getBoundingClientRect()"
        x, y = self.value(f"(box => [box.x + box.width / 2, box.y + box.height / 2])({box})")
        assert self.value(f"{there}.contains(document.elementFromPoint({x}, {y}))"), f"{selector} is hidden"
        return x, y

    def click(self, selector: str) -> None:
        """Presses the mouse on an element."""
        x, y = self.middle(selector)
        self.press(x, y)
        self.release(x, y)

    def press(self, x: float, y: float) -> None:
        """The button goes down."""
        self._mouse("mouseMoved", x, y)
        self._mouse("mousePressed", x, y, button="left", clickCount=1)

    def release(self, x: float, y: float) -> None:
        """The button comes up."""
        self._mouse("mouseReleased", x, y, button="left", clickCount=1)

    def drag(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """Pulls what is at one place to another."""
        self.press(x, y)
        for part in (0.25, 0.5, 0.75, 1):
            self._mouse("mouseMoved", x + (to_x - x) * part, y + (to_y - y) * part, button="left", buttons=1)
        self.release(to_x, to_y)

    def wheel(self, x: float, y: float, by: float, control: bool = False) -> None:
        """Turns the wheel over a place; away from the hand is negative."""
        self._mouse("mouseWheel", x, y, deltaX=0, deltaY=by, modifiers=2 if control else 0)

    def write(self, text: str) -> None:
        """Keys that make a text, where the cursor is."""
        for sign in text:
            self.call("Input.dispatchKeyEvent", type="keyDown", text=sign, key=sign)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=sign)

    def key(self, name: str) -> None:
        """One key that makes no text."""
        code = {"key": name, "code": name, "windowsVirtualKeyCode": _KEYS[name]}
        self.call("Input.dispatchKeyEvent", type="keyDown", **code, **({"text": "\r"} if name == "Enter" else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def dark(self, media: str = "screen") -> None:
        """The user likes it dark from now on; `media` may be `print`."""
        dark = {"name": "prefers-color-scheme", "value": "dark"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[dark])

    def printed(self) -> bytes:
        """The page on paper, as PDF."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])

    def _mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def _heard(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._answers], [], [], PATIENCE)[0], "chromium says nothing"
            more = os.read(self._answers, 1 << 20)
            assert more, "chromium has ended"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        heard: dict[str, Any] = json.loads(message)
        self._note(heard.get("method", ""), heard.get("params", {}))
        return heard

    def _note(self, method: str, what: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded":
                self.complaints.append(json.dumps(what))
            case "Network.requestWillBeSent" if not what["request"]["url"].startswith("data:"):
                self.asked.append(what["request"]["url"])


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser without a window, for as long as the block lasts."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs chromium")
    ours, theirs = os.pipe(), os.pipe()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
    # It reads from descriptor 3 and writes to descriptor 4.
    script = f'exec "$@" 3<&{ours[0]} 4>&{theirs[1]}'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", program, *options, "about:blank"],
        pass_fds=(ours[0], theirs[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(ours[0])
    os.close(theirs[1])
    made = Browser(ours[1], theirs[0])
    try:
        yield made
    finally:
        os.close(ours[1])  # by which it is told to end
        os.close(theirs[0])
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
