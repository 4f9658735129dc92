"""Debian's Chromium without a window, driven over its debugging pipe (Chrome DevTools Protocol, messages ended by a
zero octet), with a virtual authenticator for passkeys."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

SECONDS = 30.0


class Chromium:
    """One browser with one page. ``logged`` are the messages of its console, violations of a policy among them."""

    def __init__(self, folder: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        def ends() -> None:
            low, high = os.dup(to_read), os.dup(to_write)
            os.dup2(low, 3, inheritable=True)
            os.dup2(high, 4, inheritable=True)

        self._process = subprocess.Popen(
            [
                "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
                "--ignore-certificate-errors", "--no-first-run", "--disable-background-networking",
                "--host-resolver-rules=MAP * 127.0.0.1", f"--user-data-dir={folder}", "about:blank",
            ],
            preexec_fn=ends,
            pass_fds=(3, 4),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(folder)},
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self.logged: list[str] = []
        self._buffer, self._number, self._session = b"", 0, ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def authenticator(self) -> str:
        """A virtual authenticator that verifies its user and keeps passkeys; returns its id."""
        self.call("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        return str(self.call("WebAuthn.addVirtualAuthenticator", options=options)["authenticatorId"])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its answer. Raises RuntimeError where the browser says no."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            for answer in self._messages(ends):
                if answer.get("id") == self._number:
                    if "error" in answer:
                        raise RuntimeError(f"{method}: {answer['error']}")
                    return dict(answer["result"])
        raise TimeoutError(method)

    def go(self, url: str) -> None:
        """Open a page and wait until it is there."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until the expression is true, across pages."""
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            try:
                if self.run(expression):
                    return
            except RuntimeError:
                pass  # the page is on its way
            time.sleep(0.05)
        raise TimeoutError(
            f"{expression} at {self.run('location.href')}: {self.run('document.body.innerText')}"
        )

    def submit(self, action: str, then: str, **fields: str) -> None:
        """Fill in the form with that action, press its button, and wait until the page at ``then`` is there."""
        for name, value in fields.items():
            self.run(f"{_form(action)}.elements[{json.dumps(name)}].value = {json.dumps(value)}")
        self.run("window.before = true")  # a new page has no such thing
        self.run(f"{_form(action)}.querySelector('button').click()")
        arrived = f"location.href.includes({json.dumps(then)}) && document.readyState === 'complete'"
        self.until(f"window.before !== true && {arrived}")

    def text(self) -> str:
        """What a person reads."""
        return str(self.run("document.body.innerText"))

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def _messages(self, ends: float) -> list[dict[str, Any]]:
        ready, _, _ = select.select([self._read], [], [], max(0.0, ends - time.monotonic()))
        if not ready:
            return []
        more = os.read(self._read, 1 << 20)
        if not more:
            raise RuntimeError("the browser ended")
        *whole, self._buffer = (self._buffer + more).split(b"\0")
        messages = [json.loads(each) for each in whole]
        for message in messages:
            if message.get("method") == "Log.entryAdded":
                self.logged.append(message["params"]["entry"]["text"])
            elif message.get("method") == "Runtime.exceptionThrown":
                self.logged.append(str(message["params"]["exceptionDetails"]))
        return messages


def _form(action: str) -> str:
    return f"document.querySelector('form[action={json.dumps(action)}]')"
