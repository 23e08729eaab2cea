"""Measures the whole path device → gateway → backend → app, its parts and its peers, side by side in one run.

Prints a table and, with --json, writes every figure. docs/benchmark.md explains them.
"""

import argparse
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import time

from bench_metrics import measure_metrics
from bench_path import Path, cpu_seconds, resident_bytes, say, show
from bench_walls import measure_walls
from harness import Failure, Stack, dies_with_parent, wait_until
from product import ACME, Pki


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_port(port, process, log):
    def open_now():
        if process.poll() is not None:
            raise Failure(f"the broker ended with {process.returncode}: {pathlib.Path(log).read_text()[-500:]}")
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
        broker = subprocess.Popen(dies_with_parent([command["broker"], "-c", config]), stdout=output, stderr=output,
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

    if wanted("walls"):
        say("what the walls between tenants cost: encryption at rest, the fair queue")
        results["walls"] = measure_walls(seconds)

    if wanted("metrics"):
        say("what metrics cost: off and on in turns, aim less than 2 %")
        results["metrics"] = measure_metrics(seconds)

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
