#!/usr/bin/env python3
"""As stack.py, with hostile equipment on every hop and everybody's disks open to be looked at; and, when asked for, the same once more
with its sealing switched off: the control."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

from harness import Stack  # noqa: E402  pylint: disable=wrong-import-position
from product import ACME  # noqa: E402  pylint: disable=wrong-import-position
from stack import Desk, answer_lines  # noqa: E402  pylint: disable=wrong-import-position
from watched import Watched, control_bins  # noqa: E402  pylint: disable=wrong-import-position

EQUIPMENT = ("relay of the WAN", "balancer of the WAN")


class OthersDesk(Desk):
    """Its home is founded by `begin`."""

    def __init__(self, stack):
        super().__init__(stack)
        self.seen = None
        self.unprotected = None

    def begin(self, name="acme"):
        self.seen = Watched(self.stack)
        self.pki, self.backend, self.home = self.seen.pki, self.seen.backend, self.seen.home
        return {"instantiation": self.home.instantiation}

    def device(self, name, kind, options=("--interval", "0.5")):
        path = self.home.add_device(name, kind, *options, hop=self.home.device_hop).wait_label()
        return {"label": pathlib.Path(path).read_text(encoding="ascii").strip()}

    def control(self):
        """The control, with one reading at least; its planted text."""
        stack = Stack("console-control", mutant="no_sealing", bins=control_bins())
        self.stack.on_close(stack.close)
        self.unprotected = Watched(stack).start()
        return {}

    @staticmethod
    def _named(name, seen, whom, *more):
        address, server, roots, leaf = seen.holders()[whom]
        return ",".join([f"name={name}", f"address={address}", f"server={server}", f"chain={leaf.chain}", f"key={leaf.key}",
                         f"roots={roots}", *more])

    def serve(self, options=()):
        """With everybody who may be asked, and told to attack."""
        words = []
        for whom in (*EQUIPMENT, "gateway", "backend"):
            words += ["--observe", self._named(whom, self.seen, whom)]
            if self.unprotected is not None:
                words += ["--observe", self._named(f"control's {whom}", self.unprotected, whom, f"tenant={ACME}",
                                                   f"instantiation={self.unprotected.home.instantiation}", "control")]
        for whom in EQUIPMENT:
            words += ["--infra", self._named(whom, self.seen, whom)]
        return super().serve([*words, *options])

    def serve_alone(self):
        """With nobody to ask and nothing to attack with."""
        self.console.command = [str(self.stack.bins / "keystead-mobile-stub"), *self.home.app.arguments(), "serve", "--no-events"]
        self.console.relaunch()
        return self._address()

    def end_equipment(self):
        """The relay of the WAN is gone, as after a power cut."""
        self.seen.world.wires.process.kill()
        return {}

    def end_control(self):
        """The control's gateway is gone."""
        self.unprotected.home.gateway.process.kill()
        return {}

    def injected(self, attack):
        """(stream, sequence) and digests of what an attack of the WAN's balancer did, as the equipment itself logged it."""
        return {"injections": self.seen.world.wan.injections(attack)}


if __name__ == "__main__":
    with Stack("others") as own:
        answer_lines(OthersDesk(own))
