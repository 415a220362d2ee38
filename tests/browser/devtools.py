"""A Chromium without a window that is used as a reader uses it: pointer, keys, sizes, schemes, downloads.

It is driven over the DevTools protocol through a pipe (chrome --remote-debugging-pipe), which needs no other package.
"""

import base64
import json
import os
import select
import subprocess
import time
from pathlib import Path

from tests.browser.chromium import CHROMIUM

KEYS = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39, "ArrowUp": 38, "ArrowDown": 40, " ": 32}
PATIENCE = 300.0  # seconds until an answer is missed
# A page is there once its tables are made, which Tabulator puts off: each then says how many rows it has.
LOADED = """document.readyState === 'complete' && location.protocol === 'file:'
    && [...document.querySelectorAll('[data-count]')].every((one) => one.textContent)"""
# Where the middle of an element is. Charts are drawn when one scrolls to them, and what is below them moves: the place
# is told once no chart in sight is still to come and three frames in a row have shown the element at one place.
PLACE = """new Promise((tell) => {
    const isAwaited = (plot) => {
        const box = plot.getBoundingClientRect();
        return !plot.dataset.drawn && box.height > 0 && box.bottom > 0 && box.top < innerHeight;
    };
    let before = "", calm = 0;
    const look = () => {
        const node = document.querySelector(SELECTOR);
        node?.scrollIntoView({ block: "center", behavior: "instant" });
        const box = node?.getBoundingClientRect(), now = node && [box.x + box.width / 2, box.y + box.height / 2];
        const isCalm = node && String(now) === before && ![...document.querySelectorAll(".plot")].some(isAwaited);
        before = String(now);
        calm = isCalm ? calm + 1 : 0;
        if (calm === 3) tell(now);
        else if (document.hidden) setTimeout(look, 20);
        else requestAnimationFrame(look);
    };
    look();
})"""


class Browser:
    """One Chromium; `open` gives a page of its own. Used as a context, it ends with it."""

    def __init__(self, folder: Path):
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True)
        ours, theirs = os.pipe(), os.pipe()  # what we write, what it writes
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--hide-scrollbars",
        ]
        options += [f"--user-data-dir={folder / 'profile'}", "--remote-debugging-pipe", "about:blank"]
        # Chromium reads commands from its file descriptor 3 and answers on 4.
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{ours[0]} 4>&{theirs[1]}', str(CHROMIUM), *options]
        self._process = subprocess.Popen(
            command, pass_fds=(ours[0], theirs[1]), stderr=subprocess.DEVNULL, start_new_session=True
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._write, self._read = os.fdopen(ours[1], "wb", 0), os.fdopen(theirs[0], "rb", 0)
        self._rest, self._last, self.pages = b"", 0, {}
        where = {"behavior": "allow", "downloadPath": str(self.downloads), "eventsEnabled": False}
        self.send("Browser.setDownloadBehavior", where)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.send("Browser.close")
            self._process.wait(timeout=PATIENCE)
        except (OSError, EOFError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._write.close()
        self._read.close()

    def send(self, method, params=None, session=None):
        """The result of a command; events that come before it go to their pages. Raises RuntimeError for an error."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params or {}}
        message |= {"sessionId": session} if session else {}
        self._write.write(json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            answer = self._next(until)
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if answer.get("sessionId") in self.pages:
                self.pages[answer["sessionId"]].heard(answer["method"], answer["params"])
        raise TimeoutError(method)

    def _next(self, until):
        while b"\0" not in self._rest:
            if not select.select([self._read], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            part = os.read(self._read.fileno(), 1 << 20)
            if not part:
                raise EOFError("Chromium has ended")
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        return json.loads(text)

    def open(self, page: Path, address: str = "", width: int = 1400, height: int = 900, dark: bool = False):
        """The file `page` with `address` (`#...`) behind it, once it is loaded."""
        target = self.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        found = self.pages[session] = Page(self, session, target)
        found.resize(width, height)
        found.scheme(dark)
        for domain in ("Page", "Runtime", "Log"):
            found.send(f"{domain}.enable")
        found.send("Page.navigate", {"url": f"file://{page}{address}"})
        found.wait(LOADED)
        return found


class Page:
    """One tab. console: warnings, errors, and exceptions that nothing caught."""

    def __init__(self, browser, session, target):
        self.browser, self.session, self.target, self.console = browser, session, target, []

    def send(self, method, params=None):
        return self.browser.send(method, params, self.session)

    def heard(self, method, params):
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("warning", "error", "assert"):
            self.console.append(" ".join(str(arg.get("value", arg.get("description"))) for arg in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
            self.console.append(params["entry"]["text"])

    def close(self):
        self.browser.send("Target.closeTarget", {"targetId": self.target})
        del self.browser.pages[self.session]

    def evaluate(self, script):
        """The value of an expression, of a promise once it is kept. Raises RuntimeError where it throws."""
        answer = self.send("Runtime.evaluate", {"expression": script, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", script))
        return answer["result"].get("value")

    def wait(self, script):
        """The value of an expression as soon as it is true. Raises TimeoutError where it never is."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if value := self.evaluate(script):
                return value
            time.sleep(0.02)
        raise TimeoutError(script)

    def resize(self, width, height=900):
        mobile = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", mobile)

    def scheme(self, dark):
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", {"features": features})

    def place(self, selector):
        """Middle (x, y) of an element, scrolled into view, once the page has stopped moving it."""
        return self.evaluate(PLACE.replace("SELECTOR", json.dumps(selector)))

    def settle(self):
        """Let the page do what it put off (setTimeout) in answer to what was done: timers end in their order."""
        self.evaluate("new Promise((done) => setTimeout(() => setTimeout(done)))")

    def mouse(self, kind, x, y, **more):
        self.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more})

    def hover(self, x, y):
        self.mouse("mouseMoved", x - 3, y - 3)
        self.mouse("mouseMoved", x, y)

    def click(self, where):
        """Click an element (selector) or a place (x, y)."""
        x, y = self.place(where) if isinstance(where, str) else where
        self.hover(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)
        self.settle()

    def drag(self, start, end):
        self.hover(*start)
        self.mouse("mousePressed", *start, button="left", clickCount=1)
        middle = [(a + b) / 2 for a, b in zip(start, end, strict=True)]
        for x, y in (middle, end):
            self.mouse("mouseMoved", x, y, button="left", buttons=1)
        self.mouse("mouseReleased", *end, button="left", clickCount=1)
        self.settle()

    def press(self, key):
        """One key: a name such as `Enter`, or a character."""
        code = KEYS.get(key, ord(key[0].upper()))
        what = {"key": key, "windowsVirtualKeyCode": code} | ({"text": "\r" if key == "Enter" else key}
                if key == "Enter" or len(key) == 1 else {})  # fmt: skip
        self.send("Input.dispatchKeyEvent", {"type": "keyDown", **what})
        self.send("Input.dispatchKeyEvent", {"type": "keyUp", "key": key, "windowsVirtualKeyCode": code})
        self.settle()

    def type(self, selector, text):
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self.send("Input.insertText", {"text": text})
        self.settle()

    def downloaded(self, name):
        """The path of a download, once it is whole."""
        path, until = self.browser.downloads / name, time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if path.is_file() and not list(self.browser.downloads.glob("*.crdownload")):
                return path
            self.evaluate("0")
            time.sleep(0.02)
        raise TimeoutError(name)

    def screenshot(self, path, whole=False):
        """A PNG of what is seen, or of the whole page."""
        shot = self.send("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})
        Path(path).write_bytes(base64.b64decode(shot["data"]))
