"""Measures the whole path device → gateway → backend → app, its parts and its peers, side by side in one run.

Prints a table and, with --json, writes every figure. docs/benchmark.md explains them.
"""

import argparse
import json
import os
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("KEYSTEAD_BIN_DIR", str(ROOT / "build/release/bin"))
sys.path.insert(0, str(ROOT / "tests/e2e"))

import harness  # noqa: E402
from harness import Stack, wait_until  # noqa: E402
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
    """One home on one backend: gateway, app and `count` devices of one process, paired, and the devices' process ended again."""

    def __init__(self, stack, count):
        self.stack = stack
        self.count = count
        self.pki = Pki(stack, tenants=(ACME,))
        self.backend = start_backend(stack, self.pki)
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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_port(port, process, log):
    def open_now():
        if process.poll() is not None:
            raise harness.Failure(f"the broker ended with {process.returncode}: {pathlib.Path(log).read_text()[-500:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    wait_until(open_now, f"port {port}", 20)


def peer(stack, pki, name, command, seconds, connections):
    """Starts a broker of ours on loopback, runs the client program against it, ends it."""
    port = free_port()
    leaf = pki.leaf(ACME, "gateway", "bench", "--server")
    folder = stack.path(f"{name}-{connections}")
    os.mkdir(folder, 0o700)
    config = os.path.join(folder, "broker.conf")
    pathlib.Path(config).write_text(command["config"](port, leaf, pki.roots(ACME), folder))
    log = os.path.join(folder, "log")
    with open(log, "w", encoding="utf-8") as output:
        broker = subprocess.Popen(harness.dies_with_parent([command["broker"], "-c", config]), stdout=output, stderr=output,
                                  cwd=folder)
    stack.on_close(broker.kill)
    try:
        wait_port(port, broker, log)
        begun = cpu_seconds(broker.pid)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        device = pki.leaf(ACME, "device", "bench")
        result = stack.run(command["client"], "--port", port, "--roots", pki.roots(ACME), "--chain", device.chain, "--key",
                           device.key, "--connections", connections, "--seconds", seconds, patience=seconds + 60)
        figures = json.loads(result.stdout)
        rate = figures["received_per_second"]
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)  # the client was waited for, the broker not yet
        used = ended.ru_utime + ended.ru_stime - children.ru_utime - children.ru_stime
        figures["clients_cpu_us_per_reading"] = 1e6 * used / seconds / rate if rate else None
        figures["broker_cpu_us_per_reading"] = 1e6 * (cpu_seconds(broker.pid) - begun) / seconds / rate if rate else None
        return figures
    finally:
        broker.terminate()
        broker.wait(10)


def mosquitto_config(port, leaf, roots, folder):
    return (f"listener {port} 127.0.0.1\ncafile {roots}\ncertfile {leaf.chain}\nkeyfile {leaf.key}\n"
            f"require_certificate true\ntls_version tlsv1.3\nallow_anonymous true\nmax_inflight_messages 0\n"
            f"max_queued_messages 0\nuser root\npersistence false\n")


def nats_config(port, leaf, roots, folder):
    return (f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/js" }}\n'
            f'tls {{ cert_file: "{leaf.chain}", key_file: "{leaf.key}", ca_file: "{roots}", verify: true, '
            f'cipher_suites: ["TLS_AES_128_GCM_SHA256"] }}\n')  # of TLS 1.3: with no other named, 1.2 has none


PEERS = {
    "mosquitto QoS 1": {"broker": "/usr/sbin/mosquitto", "client": "keystead-bench-mosquitto", "config": mosquitto_config},
    "NATS JetStream": {"broker": "nats-server", "client": "keystead-bench-nats", "config": nats_config},
}


def measure_parts(stack, seconds):
    pki = Pki(stack, tenants=(ACME,))
    pki.leaf(ACME, "gateway", "bench", "--server")
    pki.leaf(ACME, "device", "bench")
    result = stack.run("keystead-bench-parts", "--pki", pki.folder, "--scratch", stack.folder, "--seconds", seconds,
                       patience=seconds * 10 + 60)
    parts = json.loads(result.stdout)
    cost = lambda part: parts[part]["cpu_us_per_reading"]  # noqa: E731
    # One seal, three hops, two synced appends, one open: what the path does, and nothing else. (The device's journal, a
    # third append that is not synced, is left out: a path could do without it.)
    in_sum = cost("seal_16k") + 3 * cost("grpc_hop_128k") + 2 * cost("append_16k") + cost("open_16k")
    parts["sum_cpu_us_per_reading"] = in_sum
    parts["allowed_readings_per_second"] = os.cpu_count() * 1e6 / in_sum
    # A lone reading: three hops one way, two synced appends, each begun when the one before it is done.
    wall = lambda part: parts[part]["wall_us_per_reading"]  # noqa: E731
    parts["latency_floor_us"] = 1.5 * wall("grpc_round_trip") + 2 * wall("append_alone")
    return parts


def idle_memory(stack, count):
    """Resident memory of gateway and of backend for each device that is connected to it and says nothing. Each is read
    before and after in a process that was started anew: what was once used and given back would hide the cost."""
    path = Path(stack, count)
    found = {"devices": count}
    for role, direct in (("gateway", False), ("backend", True)):
        path.restart()
        process = path.backend.process if direct else path.gateway
        before = resident_bytes(process.popen.pid)
        devices = path.devices(f"idle-{role}", "--interval", 3600, direct=direct)
        wait_until(lambda log=devices.log: len(log.find("connected")) >= count, "connected devices", 120)
        found[f"{role}_bytes_per_device"] = (resident_bytes(process.popen.pid) - before) / count
        found["device_sim_bytes_per_device"] = resident_bytes(devices.popen.pid) / count
        devices.terminate()
    return found


def show(name, figures, aim=""):
    rate = figures["readings_per_second"]
    cpu = figures["cpu_us_per_reading"]
    spent = "  ".join(f"{role} {value:.2f}" for role, value in cpu.items() if value is not None)
    latency = figures["latency_us"]
    print(f"   {name}: {rate:,.0f} readings/s  p50 {latency['p50'] / 1000:.2f} ms  p99 {latency['p99'] / 1000:.2f} ms  "
          f"CPU µs/reading: {spent}  {aim}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=8, help="length of each measurement")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--json", help="write every figure to this file")
    parser.add_argument("--no-peers", action="store_true", help="without mosquitto and NATS")
    options = parser.parse_args()
    results = {"machine": {"cores": os.cpu_count(), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}}
    wanted = lambda name: options.only in name  # noqa: E731
    seconds = options.seconds

    if wanted("parts"):
        say("parts: AES-GCM, a mutual-TLS stream and synced appends by themselves")
        with Stack("bench-parts") as stack:
            results["parts"] = measure_parts(stack, max(2, seconds / 3))
        parts = results["parts"]
        print(f"   in sum {parts['sum_cpu_us_per_reading']:.2f} µs CPU a reading: "
              f"{parts['allowed_readings_per_second']:,.0f} readings/s on {os.cpu_count()} cores", flush=True)
        print(f"   one at a time: a hop and back {parts['grpc_round_trip']['wall_us_per_reading']:.0f} µs, a synced append "
              f"{parts['append_alone']['wall_us_per_reading']:.0f} µs: no reading can be at the app before "
              f"{parts['latency_floor_us'] / 1000:.2f} ms", flush=True)

    cases = [
        ("batches of 64", 4, ["--batch", 64], "aim 400,000/s and 0.7 of the parts"),
        ("unbatched, 16 devices", 16, ["--batch", 1], "aim 100,000/s"),
        ("unbatched, 100 devices", 100, ["--batch", 1], "aim 100,000/s"),
        ("one at a time", 1, ["--batch", 1, "--readings-per-second", 200], "aim p50 < 1 ms"),
        ("100,000/s in batches", 4, ["--batch", 64, "--readings-per-second", 100000], "aim p50 <= 1.5 ms, p99 <= 5 ms"),
    ]
    for name, devices, load, aim in cases:
        if not wanted(name):
            continue
        say(f"whole path: {name}, {devices} device{'s' if devices > 1 else ''}")
        with Stack("bench") as stack:
            results[name] = Path(stack, devices).measure("load", seconds, *load)
        show(name, results[name], aim)
    batches, parts = results.get("batches of 64"), results.get("parts")
    if batches and parts:
        ratio = batches["readings_per_second"] / parts["allowed_readings_per_second"]
        results["ratio_to_parts"] = ratio
        print(f"   batches of 64: {ratio:.2f} of what the parts allow, "
              f"{batches['readings_per_second'] * 256 / 1e6:,.0f} MB/s of payload", flush=True)

    if wanted("memory"):
        say("memory per idle connected device")
        with Stack("bench-idle") as stack:
            results["memory"] = idle_memory(stack, 200)
        print("   " + "  ".join(f"{key} {value:,.0f}" for key, value in results["memory"].items()), flush=True)

    if not options.no_peers and wanted("peers"):
        for name, command in PEERS.items():
            for connections in (1, 16, 100):
                say(f"peer: {name}, {connections} connections")
                with Stack("bench-peer") as stack:
                    pki = Pki(stack, tenants=(ACME,))
                    figures = peer(stack, pki, "peer", command, seconds, connections)
                results[f"{name}, {connections}"] = figures
                print(f"   {figures['received_per_second']:,.0f} readings/s received, CPU µs/reading: broker "
                      f"{figures['broker_cpu_us_per_reading'] or 0:.2f}  clients "
                      f"{figures['clients_cpu_us_per_reading'] or 0:.2f}", flush=True)

    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
