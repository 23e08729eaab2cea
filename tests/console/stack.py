#!/usr/bin/env python3
"""A home with its backend for a test in another language: reads one request a line, answers one line.

    {"op": "device", "name": "bulb", "kind": "lightbulb"}  →  {"label": "KS1:…"}

Ends, with everything that it started, when its input does."""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

import product  # noqa: E402  pylint: disable=wrong-import-position
from harness import Failure, Stack, wait_until  # noqa: E402  pylint: disable=wrong-import-position
from home import Home  # noqa: E402  pylint: disable=wrong-import-position
from product import ACME, Pki  # noqa: E402  pylint: disable=wrong-import-position

# Devices that join side by side: each waits with one call, and a gateway may have 56 of those at its next hop.
AT_ONCE = 40


class Desk:
    """One operation a method."""

    def __init__(self, stack):
        self.stack = stack
        self.home = None
        self.backend = None
        self.console = None
        self.pki = None

    def begin(self, name="acme"):
        self.pki = Pki(self.stack, [ACME])
        self.backend = product.start_backend(self.stack, self.pki)
        product.pin_port(self.backend.process, "grpc")
        self.home = Home(self.stack, self.pki, ACME, name, self.backend)
        return {}

    def found(self):
        return {"instantiation": self.home.found()["instantiation"]}

    def gateway_label(self):
        """Before the home is founded: the label of its gateway."""
        wait_until(lambda: pathlib.Path(self.home.gateway_label).exists(), "the gateway's label")
        return {"label": pathlib.Path(self.home.gateway_label).read_text(encoding="ascii").strip()}

    def device(self, name, kind, options=("--interval", "0.5")):
        """A device that runs; the text of its label."""
        path = self.home.add_device(name, kind, *options).wait_label()
        return {"label": pathlib.Path(path).read_text(encoding="ascii").strip()}

    def fleet(self, count, interval=1.0):
        """`count` devices in one process; how many labels it wrote."""
        certs = self.pki.leaves(ACME, "device", "d-", count)
        labels = pathlib.Path(self.stack.path("labels"))
        self.stack.start("fleet", "keystead-device-sim", "--state", self.stack.path("fleet-state"), "--ids", "d-",
                         "--count", count, "--certs", certs, "--kind", "temperature", "--interval", interval,
                         "--next-hop", self.home.gateway.address, "--next-hop-id", self.home.gateway.spiffe,
                         "--roots", self.home.gateway.roots, "--labels-out", labels, "--join-at-once", AT_ONCE)
        # In the order in which the devices announce themselves, so many at a time.
        found = sorted(labels.glob("*"), key=lambda label: (len(label.name), label.name))
        for begin in range(0, len(found), AT_ONCE):
            self.home.app.pair(found[begin:begin + AT_ONCE], wait=60)
        return {"labels": len(found)}

    def pair(self):
        return {"epoch": self.home.pair_devices()["epoch"]}

    def serve(self, options=()):
        """Starts the console; the address that it printed."""
        self.console = self.stack.start("console", "keystead-mobile-stub", *self.home.app.arguments(), "serve", "--no-events", *options)
        return self._address()

    def _address(self):
        said = [json.loads(line) for line in self.console.output.read_text(encoding="utf-8").splitlines()]
        return {"url": said[-1].get("url"), "port": self.console.port("console")}

    def _process(self, name):
        return {"backend": self.backend.process, "gateway": self.home.gateway.process, "console": self.console,
                **{key: device.process for key, device in self.home.devices.items()}}[name]

    def kill(self, name):
        self._process(name).kill()
        return {}

    def terminate(self, name):
        return {"code": self._process(name).terminate(), "errors": self._process(name).error_text()}

    def relaunch(self, name):
        self._process(name).relaunch()
        return self._address() if name == "console" else {}

    def path(self, name):
        return {"path": self.stack.path(name)}


def answer_lines(desk):
    """Until the input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        operation = request.pop("op")
        try:
            answer = getattr(desk, operation)(**request)
        except Failure as failure:
            answer = {"error": str(failure)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with Stack("console") as own:
        answer_lines(Desk(own))
