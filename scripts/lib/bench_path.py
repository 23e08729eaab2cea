"""The whole path device → gateway → backend → app as something that can be measured."""

import json
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("KEYSTEAD_BIN_DIR", str(ROOT / "build/release/bin"))
sys.path.insert(0, str(ROOT / "tests/e2e"))

from harness import wait_until  # noqa: E402
from product import ACME, LISTEN, Pki, pin_port, start_backend  # noqa: E402

JOINED_AT_ONCE = 40  # beyond it the phone waits for mailboxes, in growing pauses
TICK = os.sysconf("SC_CLK_TCK")


def say(text):
    print(f"== {text}", flush=True)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


class Path:
    """One home on one backend: gateway, app and `count` devices of one process, paired, and the devices' process ended again.
    `env` is the backend's alone."""

    def __init__(self, stack, count, env=None):
        self.stack = stack
        self.count = count
        self.pki = Pki(stack, tenants=(ACME,))
        self.backend = start_backend(stack, self.pki, env=env)
        leaf = self.pki.leaf(ACME, "gateway", "hall", "--server")
        self.gateway = stack.start("gateway", "keystead-gateway", "--listen", LISTEN, "--upstream", self.backend.address,
                                   "--upstream-id", self.backend.spiffe, "--upstream-roots", self.backend.roots,
                                   "--state", stack.path("gateway-state"), "--label-out", stack.path("hall.label"),
                                   "--queue-bytes", 1 << 30, *leaf.options(self.pki.roots(ACME)))
        self.gateway_leaf = leaf
        phone = self.pki.leaf(ACME, "app", "phone")
        self.app = ["--state", stack.path("phone"), "--next-hop", self.backend.address, "--next-hop-id",
                    self.backend.spiffe, *phone.options(self.backend.roots)]
        self.certificates = self.pki.leaves(ACME, "device", "d-", count)
        self.labels = stack.path("labels")
        os.mkdir(self.labels, 0o700)
        self.pair(stack.path("hall.label"))
        # Straight at the backend: a gateway may let few wait there at a time, and joining is not what is measured.
        devices = self.devices("join", "--labels-out", self.labels, "--interval", 3600, direct=True)
        wait_until(lambda: len(list(pathlib.Path(self.labels).glob("*.label"))) == count, "labels", 60)
        labels = sorted(str(path) for path in pathlib.Path(self.labels).glob("*.label"))
        for begin in range(0, count, JOINED_AT_ONCE):
            self.pair(*labels[begin:begin + JOINED_AT_ONCE])
        wait_until(lambda: len(devices.log.find("joined")) >= count, "devices that joined", 120)
        devices.terminate()

    def pair(self, *labels):
        words = [word for label in labels for word in ("--label-file", label)]
        recovery = self.stack.path("recovery-key")
        if not os.path.exists(recovery):
            words += ["--recovery-out", recovery]
        self.stack.run("keystead-mobile-stub", *self.app, "pair", *words, patience=300)

    def devices(self, name, *options, direct=False):
        """All devices of the home in one process, behind the gateway or straight at the backend."""
        if direct:
            hop = (self.backend.roots, self.backend.address, self.backend.spiffe)
        else:
            hop = (self.pki.roots(ACME), self.gateway.address("lan"), self.gateway_leaf.spiffe)
        return self.stack.start(f"devices-{name}", "keystead-device-sim", "--state", self.stack.path("devices"), "--ids",
                                "d-", "--count", self.count, "--certs", self.certificates, "--roots", hop[0], "--next-hop", hop[1],
                                "--next-hop-id", hop[2], *options, ports=False)

    def restart(self):
        """Gateway and backend as they are right after a start: nothing of what was done before stays in their memory."""
        self.gateway.terminate()
        pin_port(self.backend.process, "grpc")
        self.backend.process.terminate()
        self.backend.process.relaunch()
        self.gateway.relaunch()

    def measure(self, name, seconds, *load):
        """Runs a load and returns what the app saw, and what each process spent, in `seconds` of it: those after all devices
        have connected and everything is warm."""
        warm_up = 1 + self.count // 25
        watch = self.stack.start(f"watch-{name}", "keystead-mobile-stub", *self.app, "--json", "watch", "--stats",
                                 "--warm-up", warm_up, ports=False)
        time.sleep(1)  # the app is reading before the load begins; not measured
        begun = time.monotonic()
        devices = self.devices(name, *load)
        wait_until(lambda: len(devices.log.find("connected")) >= self.count, "connected devices", 120)
        time.sleep(max(0.0, begun + warm_up + 1 - time.monotonic()))
        processes = {"device": devices, "gateway": self.gateway, "backend": self.backend.process, "app": watch}
        before = {role: cpu_seconds(process.popen.pid) for role, process in processes.items()}
        start = time.monotonic()
        time.sleep(seconds)
        spent = {role: cpu_seconds(process.popen.pid) - before[role] for role, process in processes.items()}
        window = time.monotonic() - start
        watch.terminate()
        devices.terminate()
        summary = json.loads(pathlib.Path(watch.output).read_text().splitlines()[-1])
        rate = summary["readings_per_second"]
        summary["cpu_us_per_reading"] = {role: 1e6 * used / window / rate if rate else None
                                         for role, used in spent.items()}
        return summary


def show(name, figures, aim=""):
    rate = figures["readings_per_second"]
    cpu = figures["cpu_us_per_reading"]
    spent = "  ".join(f"{role} {value:.2f}" for role, value in cpu.items() if value is not None)
    latency = figures["latency_us"]
    print(f"   {name}: {rate:,.0f} readings/s  p50 {latency['p50'] / 1000:.2f} ms  p99 {latency['p99'] / 1000:.2f} ms  "
          f"CPU µs/reading: {spent}  {aim}", flush=True)
