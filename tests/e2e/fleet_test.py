#!/usr/bin/env python3
"""Thousands of devices in one process: each with its own certificate and connection, joined from its own label, and heard by the
phone of its own home."""

import os
import pathlib
import time
import unittest

import product
from harness import Stack, wait_until
from home import App
from product import ACME, Pki

HOMES = int(os.environ.get("KEYSTEAD_FLEET_HOMES", "20"))
DEVICES_OF_A_HOME = 100
INTERVAL_S = 10


def connections_of(pid, port):
    """How many established TCP connections to `port` the process holds."""
    held = set()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.add(os.readlink(entry))
        except FileNotFoundError:
            pass  # closed meanwhile
    lines = []
    for table in ("tcp", "tcp6"):  # gRPC's sockets speak IPv4 as IPv6
        lines += pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    count = 0
    for fields in map(str.split, lines):
        remote, state, inode = fields[2], fields[3], fields[9]
        if state == "01" and int(remote.rpartition(":")[2], 16) == port and f"socket:[{inode}]" in held:
            count += 1
    return count


class FleetTest(unittest.TestCase):
    def test_thousands_of_devices_in_one_process(self):
        count = HOMES * DEVICES_OF_A_HOME
        with Stack("fleet") as stack:
            pki = Pki(stack, tenants=(ACME,))
            backend = product.start_backend(stack, pki, "backend", "--trusted-balancers", "127.0.0.1")
            certificates = pki.leaves(ACME, "device", "d-", count)
            labels = pathlib.Path(stack.path("labels"))
            labels.mkdir(0o700)
            devices = stack.start("devices", "keystead-device-sim", "--state", stack.path("devices"), "--ids", "d-", "--count",
                                  count, "--certs", certificates, "--roots", backend.roots, "--next-hop", backend.address,
                                  "--next-hop-id", backend.spiffe, "--labels-out", labels, "--interval", INTERVAL_S, ports=False)
            wait_until(lambda: len(list(labels.glob("*.label"))) == count, "a label of each device", 120)
            # In the order in which the devices take their turns to announce themselves (--join-at-once).
            written = [labels / f"d-{number}.label" for number in range(count)]
            homes = []
            for number in range(HOMES):
                app = App(stack, pki, ACME, f"phone-{number}", backend)
                mine = written[number * DEVICES_OF_A_HOME:(number + 1) * DEVICES_OF_A_HOME]
                app.pair(mine, wait=120)
                homes.append((app, {label.stem for label in mine}))
                print(f"home {number + 1} of {HOMES}: {len(mine)} devices joined", flush=True)
            wait_until(lambda: len(devices.log.find("joined")) == count, "devices that joined", 120)
            port = int(backend.address.rpartition(":")[2])
            wait_until(lambda: connections_of(devices.popen.pid, port) == count,
                       lambda: f"{count} connections: there are {connections_of(devices.popen.pid, port)}")
            for app, mine in homes:
                watch = app.watch()
                for name in mine:
                    watch.wait_readings(name, 1, patience=6 * INTERVAL_S)
                self.assertEqual({entry["device"] for entry in watch.records("readings")}, mine, "heard another home's device")
                self.assertEqual(watch.alarms(), [])
                watch.process.terminate()
            asked = time.monotonic()
            self.assertEqual(devices.terminate(60), 0, devices.tail())
            print(f"{count} devices ended in {time.monotonic() - asked:.1f} s", flush=True)


if __name__ == "__main__":
    unittest.main()
