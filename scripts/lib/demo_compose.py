#!/usr/bin/env python3
"""The demonstration against the containers of docker-compose.yml: `scripts/demo --compose`. See docker/README.md.

The stages are those of scripts/demo where they ask only what everybody says and holds; what differs is how one gets there: every
command runs inside a container, with the keys of that container."""

import argparse
import concurrent.futures
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "scripts/lib")]

import compose
import compose_metrics
import compose_page
import compose_search
import compose_walls
import demo_agree
import demo_battle
import demo_stages
import harness
from demo import run_stages, summary
from demo_attacks import Evidence
from demo_report import Assertions, Screen
from product import ACME, GLOBEX

DEVICES = {"acme": ("bulb", "thermo", "meter"), "globex": ("cuff", "meter")}
TENANTS = {"acme": ACME, "globex": GLOBEX}
NEW = "lamp"  # joins while one looks on
NOT_SHOWN = [
    "Withholding and delay are bounded and shown, never prevented: whoever carries can stop carrying.",
    "Memory is not searched here, nor are attacks on joining and on membership played: scripts/demo does both, with processes.",
    "Containers share one kernel: who breaks out of one has left what these walls are made of.",
]


class Thing:
    """A device or gateway: its container is its process."""

    def __init__(self, container):
        self.process = container


class Home:
    def __init__(self, project, name, devices):
        self.name = name
        self.tenant = TENANTS[name]
        self.gateway = Thing(project.container(f"{name}-gateway"))
        self.devices = {device: Thing(project.container(f"{name}-{device}")) for device in devices}
        self.phone = project.container(f"{name}-phone")
        self.app = compose.Phone(self.phone, self.tenant, name)
        self.instantiation = None


class World:
    """Where the equipment stands, in the words of tests/e2e/world.py."""

    # Each home has a LAN and a hub of its own, and each tenant one home.
    nobody_elses = {"device-gateway": ("tenant", "instantiation"), "gateway-backend": ("instantiation",), "backend-app": ("instantiation",)}

    def __init__(self, project):
        self.backend = compose.DIRECT
        lan = project.container("acme-hub")
        self.wan = compose.Box(project.container("balancer"))
        self.lan_wires = compose.Box(lan, {"acme-device-gateway": "wire"})
        self.lan_balancers = compose.Box(lan, {"acme-device-gateway": "device-gateway"})
        self.wires = compose.Box(project.container("acme-router"))
        for name in ("globex-router", "globex-hub"):
            project.container(name)

    def infra(self, hop, form):
        if hop == "device-gateway":
            return self.lan_wires if form == "tcp" else self.lan_balancers
        return self.wires if form == "tcp" else self.wan


class Demo:
    """What the stages share: demo_stages.Demo with containers for processes."""

    mutant = None
    thorough = False

    def __init__(self, screen, checks, project):
        self.screen = screen
        self.checks = checks
        self.project = self.stack = project
        self.control = None  # the text that the unprotected control's meter measures, where that runs
        self.world = None
        self.homes = {}
        self.watches = {}
        self.canary = ""
        self.injections = []
        self.stories = []
        self.commands = []
        self.expected_peers = set()
        self.given_up = set()
        self.evidence = None
        self.pool = concurrent.futures.ThreadPoolExecutor(4)


def attach(demo):
    """To containers that run."""
    project = demo.project
    demo.world = World(project)
    project.container("backend")
    if "control-backend" in project.services():
        demo.control = compose_search.planted_text(project.container("control-meter"))
    demo.homes = {name: Home(project, name, devices) for name, devices in DEVICES.items()}
    for home in demo.homes.values():
        demo.watches[home.name] = home.app.watch()


def new_readings(demo, patience):
    """Two more of every device, at its owner's phone."""
    marks = {name: watch.events.mark() for name, watch in demo.watches.items()}
    for name, home in demo.homes.items():
        for device in home.devices:
            demo.watches[name].wait_readings(device, 2, patience, marks[name])


def end_of_an_earlier_run(demo):
    """One that was cut off left the lamp in the home: it goes, and everybody else has new keys."""
    app = demo.homes["acme"].app
    if any(member.get("device") == NEW for member in app.call("members")[0]["members"]):
        app.call("remove", NEW, check=False)
        demo.screen.say("the lamp of an earlier run was put out, and everybody else has new keys")


def begin(demo):
    demo.screen.stage("The containers", "Two homes, an Internet where only relays stand, and a provider's cloud, each in a network of its own.")
    project = demo.project
    attach(demo)
    backend = project.container("backend")
    demo.canary = compose_search.planted_text(demo.homes["acme"].devices["meter"].process)
    # A run looks at what happens from its beginning on: the equipment forgets what passed it, the phones begin a new log, and all
    # other logs are read from here. The phones come last: what they say of the reboots is of before.
    end_of_an_earlier_run(demo)
    list(demo.pool.map(lambda box: box.reboot(), (demo.world.wan, demo.world.lan_balancers)))
    new_readings(demo, 60)
    demo.evidence = Evidence()
    for home in demo.homes.values():
        for entry in home.phone.entries():
            home.phone.said |= compose.places_of(entry)
            if entry["event"] == "record":
                demo.evidence.delivered[(entry["stream"], entry["sequence"])] = 1
    list(demo.pool.map(lambda home: home.phone.restart_in_peace(), demo.homes.values()))
    for home in demo.homes.values():
        demo.watches[home.name] = home.app.watch()
    new_readings(demo, 60)
    for home in demo.homes.values():
        home.instantiation = home.app.call("members")[0]["instantiation"]
    for container in project.processes.values():
        if container not in [home.phone for home in demo.homes.values()]:
            harness.wait_until(container.log.read, f"the log of {container.name}")
            demo.evidence.begin_at_the_end_of(container.log)
    demo.screen.say(f"the attacks of this run are those of seed {compose.Box.seed}")
    sick = [name for name in project.processes if not project.container(name).healthy()]
    demo.checks.check("compose.healthy", not sick and not backend.ended(),
                      f"{len(project.processes)} containers run, and those that serve say over grpc.health.v1 that they do {sick or ''}")


def join(demo):
    demo.screen.stage("A lamp joins by its label", "The other devices joined when the containers first came up. This one has just been reset "
                      "and shows its label; phone and lamp prove to each other that they know its code, which never travels.")
    home = demo.homes["acme"]
    demo.project.compose("--profile", "demo", "up", "-d", "--no-build", "--no-deps", "--force-recreate", "acme-lamp")
    lamp = demo.project.container("acme-lamp")
    harness.wait_until(lambda: lamp.log.find("pairing"), "the lamp to show its label")
    paired = [line for line in home.app.pair(["/label/label"]) if line["event"] == "paired"][0]
    joined = lamp.log.wait_for("joined")
    home.devices[NEW] = Thing(lamp)
    demo.watches[home.name].wait_readings(NEW, 2)
    demo.evidence.begin_at_the_end_of(lamp.log)  # it began by reading what an earlier run had spoilt
    added = {one["device"]: one["member"] for one in paired["paired"]}
    demo.checks.check("join.by_label", joined["member"] == added.get(NEW) and joined["instantiation"] == home.instantiation,
                      f"the lamp joined the home of its label in epoch {paired['epoch']}, as the member that the phone added")


def leave(demo):
    """So that the lamp can join again in the next run."""
    home = demo.homes["acme"]
    demo.screen.stage("The lamp is put out of the home", "Everybody else gets new keys; what it sends from now on opens for nobody.")
    answer = [line for line in home.app.call("remove", NEW) if line["event"] == "removed"]
    demo.checks.check("membership.removed", answer and answer[0]["followed"],
                      "the others write under keys that the lamp never had")
    demo.project.compose("--profile", "demo", "rm", "-sf", "acme-lamp")
    demo.homes["acme"].devices.pop(NEW)


def run(demo, arguments):
    stages = [("begin", begin), ("walls", compose_walls.walls), ("readings", demo_stages.readings),
              ("page", compose_page.owners_pages), ("metrics", compose_metrics.metrics), ("command", demo_stages.command)]
    attacks = not arguments.no_attacks
    stages += [("wires", demo_battle.wires)] if attacks else []
    # Only now, and with it new keys for everybody: the equipment then knows two epochs to put records of one in the place of.
    stages += [("join", join), ("eavesdropper", demo_stages.eavesdropper)]
    stages += [("balancers", demo_battle.balancers), ("agree", demo_agree.agree)] if attacks else []
    stages += [("secrecy", compose_search.secrecy), ("leave", leave)]
    run_stages(demo, stages)


def conclude(screen, checks, injections, seconds):
    screen.line()
    screen.line("What this did not show")
    for text in NOT_SHOWN:
        screen.say(text)
    screen.line()
    failed = checks.failed()
    screen.line(f"{len(checks.results) - len(failed)} of {len(checks.results)} assertions passed, {len(injections)} records attacked, {seconds:.0f} s")
    for name in failed:
        screen.line(screen.bad(f"failed: {name}") + f": {checks.results[name][1]}")
    if not failed:
        screen.line(screen.good("Everything was as expected."))
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo --compose")
    parser.add_argument("--project", default=compose.DEFAULT_PROJECT, help="the Compose project whose containers run")
    parser.add_argument("--no-attacks", action="store_true", help="no attacks: walls, readings, pages, Prometheus, a command, a lamp that joins and leaves, the search")
    arguments = parser.parse_args()
    trouble = compose.engine_says()
    if trouble:
        sys.exit(f"error: no container engine: {trouble}")
    screen, started = Screen(), time.monotonic()
    project = compose.Project(arguments.project)
    try:
        it = Demo(screen, Assertions(screen), project)
        run(it, arguments)
        if it.injections:
            summary(it)
        code = conclude(screen, it.checks, it.injections, time.monotonic() - started)
        screen.line()
        screen.line("The containers go on running. Open:")
        for name, address in compose_page.addresses(project):
            screen.line(f"  {name:13} {address}")
        return code
    finally:
        project.close()


if __name__ == "__main__":
    sys.exit(main())
