#!/usr/bin/env python3
"""Debian's Prometheus scrapes a running product, and what it is asked has the right answers: rates, refusals as many as attacks
were made, certificates, quantiles. Every metric that is served stands in docs/operations.md, and the other way round."""

import re
import subprocess
import unittest

import prometheus
from harness import Stack, wait_until
from prometheus import Prometheus
from product import ACME, GLOBEX
from world import World, listener_of

# How the table of docs/operations.md calls the programs.
PROGRAMS = ("backend", "gateway", "device", "app", "infra")
ROW = re.compile(r"^\| `((?:keystead|process)_\w+)` \|([^|]*)\|([^|]*)\|")
LABELS = {"tenant", "limit", "code", "kind", "rpc", "topic", "outcome", "state", "direction", "what", "use", "le"}
COUNTED = ("tasks", "stores", "files", "calls", "connections", "tenants", "topics", "peers", "devices", "entries", "records",
           "streams", "attacks", "instantiations", "groups", "sources", "fds", "up")
ATTACKS = 7
LOOPBACK = "0100007F"  # 127.0.0.1 as /proc/net/tcp has it


def documented():
    """Metric → (programs, labels), from the table."""
    rows = {}
    for line in (prometheus.DOCS / "operations.md").read_text().splitlines():
        found = ROW.match(line)
        if found:
            name, programs, labels = found.groups()
            programs = PROGRAMS if programs.strip() == "all" else tuple(programs.replace(" ", "").split(","))
            rows[name] = (set(programs), set(re.findall(r"`(\w+)`", labels)))
    return rows


class MetricsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("metrics")
        cls.addClassCleanup(cls.stack.close)
        for program in ("BACKEND", "GATEWAY", "DEVICE", "MOBILE", "INFRA"):
            cls.stack.env[f"KEYSTEAD_{program}_METRICS_LISTEN"] = "127.0.0.1:0"
        cls.world = World(cls.stack, {"acme": ACME, "globex": GLOBEX})
        cls.home = cls.world.homes["acme"]
        cls.home.found(cls.home.couriers)
        cls.home.add_device("thermo", "temperature", "--interval", "0.1", hop=cls.home.device_hop)
        cls.home.add_device("bulb", "lightbulb", "--interval", "0.1", hop=cls.home.device_hop)
        cls.home.pair_devices()
        cls.watch = cls.home.app.watch(ports=True)
        cls.watch.wait_readings("thermo", 3)
        cls.targets = {
            "backend": [cls.world.backend.process],
            "gateway": [home.gateway.process for home in cls.world.homes.values()],
            "device": [device.process for device in cls.home.devices.values()],
            "app": [cls.watch.process],
            "infra": [box.process for box in cls.world.all_infra()],
        }
        cls.prometheus = Prometheus(cls.stack, cls.targets)

    def text(self, process):
        return prometheus.get(f"http://{process.address('metrics')}/metrics")

    def ask(self, expression, predicate, what=None):
        return self.prometheus.wait_for(expression, predicate, what)

    def test_every_program_is_scraped(self):
        count = sum(len(processes) for processes in self.targets.values())
        self.ask("sum(up)", lambda n: n == count, f"{count} programs to be up")

    def test_the_rate_of_records_is_that_of_each_tenant(self):
        self.ask(f'rate(keystead_tenant_records_total{{tenant="{ACME}"}}[5s])', lambda n: n > 5, "records of acme")
        self.ask(f'keystead_tenant_records_total{{tenant="{GLOBEX}"}}', lambda n: n == 0, "globex, who has no device, to bring nothing")
        self.ask(f'keystead_tenant_commits_total{{tenant="{ACME}"}}', lambda n: n >= 2)
        self.ask('sum(rate(keystead_device_sealed_records_total{topic="telemetry"}[5s]))', lambda n: n > 5)
        self.ask('rate(keystead_reader_records_total{outcome="opened"}[5s])', lambda n: n > 5)
        self.ask("rate(keystead_gateway_forwarded_groups_total{name='acme-gateway'}[5s])", lambda n: n > 1)

    def test_quantiles_of_every_latency_are_there(self):
        for metric, job in (("keystead_hop_publish_ack_seconds", "backend"), ("keystead_hop_publish_ack_seconds", "gateway"),
                            ("keystead_hop_delivery_seconds", "backend"), ("keystead_store_fsync_seconds", "backend"),
                            ("keystead_store_commit_seconds", "gateway"), ("keystead_store_queue_wait_seconds", "backend"),
                            ("keystead_fair_queue_wait_seconds", "backend"), ("keystead_publisher_ack_seconds", "device"),
                            ("keystead_publisher_ack_seconds", "gateway")):
            self.ask(f'histogram_quantile(0.99, sum by (le) (rate({metric}_bucket{{job="{job}"}}[10s])))',
                     lambda n: 0 < n < 60, f"the 99th percentile of {metric} of {job}")

    def test_certificates_have_time_left(self):
        for job in PROGRAMS:
            self.ask(f'min(keystead_certificate_remaining_seconds{{job="{job}",use="own"}})', lambda n: n > 3600, f"certificates of {job}")
        self.ask("sum(keystead_certificate_unreadable_files)", lambda n: n == 0)

    def test_what_is_refused_grows_by_exactly_what_was_attacked(self):
        """On the way to the backend records are put elsewhere, on the way to the phone they are changed."""
        self.ask('keystead_reader_streams{state="live"}', lambda n: n >= 2, "live streams")
        attacked = {
            ("gateway-backend", "up", "topic"): 'sum(keystead_hop_refused_groups_total{job="backend"})',
            ("backend-app", "down", "cose_tag"): 'sum(keystead_security_events_total{job="app",kind="open_failed"})',
        }
        for (hop, direction, target), refused in attacked.items():
            box = self.world.infra(hop, "balancer")
            made = f'keystead_infra_injections_total{{kind="modify",name="{box.process.name}"}}'
            before = {what: self.ask(what, lambda n: n >= 0) for what in (made, refused)}
            numbers = box.plan([{"kind": "modify", "target": target, "listener": listener_of(hop, "acme"), "direction": direction,
                                 "topic": "telemetry/", "seed": seed} for seed in range(ATTACKS)])
            self.assertEqual(box.wait_spent(numbers), set())
            for what in (made, refused):
                self.ask(what, lambda n, start=before[what]: n == start + ATTACKS, f"{ATTACKS} more in {what}")
            # And no more than those: after further records it is the same.
            start = self.watch.events.mark()
            self.watch.wait_readings("thermo", 30, start=start)
            for what in (made, refused):
                self.assertEqual(self.ask(what, lambda n: n >= 0), before[what] + ATTACKS)

    def test_nothing_rings_that_nobody_has_touched(self):
        rules = [rule for group in self.prometheus.api("rules")["groups"] for rule in group["rules"]]
        self.assertGreater(len(rules), 20)
        wait_until(lambda: all(rule["health"] == "ok" for group in self.prometheus.api("rules")["groups"] for rule in group["rules"]),
                   "every rule to be evaluated")
        firing = {alert["labels"]["alertname"] for alert in self.prometheus.api("alerts")["alerts"] if alert["state"] == "firing"}
        # The attacks of this file ring these.
        self.assertLessEqual(firing, {"KeysteadRecordsTamperedWith", "KeysteadRecordsMissing"})

    def test_an_attack_rings(self):
        self.ask('keystead_security_events_total{job="app",kind="open_failed"}', lambda n: n >= 0, "the counter before it grows")
        box = self.world.infra("backend-app", "balancer")
        numbers = box.plan([{"kind": "modify", "target": "cose_tag", "listener": "backend-app", "direction": "down", "topic": "telemetry/"}])
        self.assertEqual(box.wait_spent(numbers), set())
        self.ask('ALERTS{alertname="KeysteadRecordsTamperedWith",alertstate="firing",job="app",kind="open_failed"}', lambda n: n == 1)

    def test_every_metric_is_documented_and_every_documented_one_is_served(self):
        rows = documented()
        self.assertGreater(len(rows), 80)
        served = {}
        for job, processes in self.targets.items():
            for process in processes:
                for name, family in prometheus.parse(self.text(process)).items():
                    with self.subTest(metric=name, program=job):
                        self.assertIn(name, rows, "not in the table of docs/operations.md")
                        self.assertTrue(family.get("help", "").endswith("."), "HELP is no sentence")
                        self.check_name(name, family["type"])
                        for labels, _ in family["samples"]:
                            self.check_labels(name, labels, rows[name][1])
                    served.setdefault(name, set()).add(job)
        for name, (programs, _) in rows.items():
            self.assertEqual(served.get(name), programs, f"{name}: which programs serve it, and which the table says")

    def check_name(self, name, kind):
        self.assertRegex(name, r"^(keystead|process)(_[a-z]+)+$")
        if kind == "counter":
            self.assertTrue(name.endswith("_total"), "a counter ends in _total")
        elif kind == "histogram":
            self.assertTrue(name.endswith("_seconds"), "a histogram is of times")
        else:
            self.assertTrue(name.endswith(("_seconds", "_bytes", *("_" + word for word in COUNTED))) or name == "keystead_tenants_added_up",
                            "a gauge says its unit, or what it counts")

    def check_labels(self, name, text, allowed):
        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', text))
        self.assertLessEqual(set(labels) - {"le"}, allowed, f"labels of {name}")
        self.assertLessEqual(set(labels), LABELS)
        for value in labels.values():
            self.assertNotRegex(value, r"[0-9a-f]{16}|spiffe:", f"{name}: an id became a label")

    def test_promtool_finds_nothing_to_say_about_names(self):
        for job, processes in self.targets.items():
            text = self.text(processes[0])
            result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""), job)

    def test_it_listens_on_loopback_only(self):
        for processes in self.targets.values():
            for process in processes:
                self.assertEqual([address for address, port in prometheus.listening(process.popen.pid) if port == process.port("metrics")],
                                 [LOOPBACK], process.name)


class OffTest(unittest.TestCase):
    def test_nobody_serves_metrics_unless_asked(self):
        with Stack("no-metrics") as stack:
            world = World(stack, {"acme": ACME})
            for process in (world.backend.process, world.homes["acme"].gateway.process):
                self.assertNotIn("metrics", process.ports())
                self.assertEqual(len(prometheus.listening(process.popen.pid)), 1, "one port, and no more")


if __name__ == "__main__":
    unittest.main()
