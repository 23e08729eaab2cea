"""The demonstration's attacks: on every hop, as a wire without credentials and as a balancer that holds valid ones."""

import itertools

import harness
from demo_attacks import HARMLESS, RECORD_ATTACKS, WIRE_ATTACKS, Evidence, Injection, judge, place_of
from world import HOPS

NEXT_HOP = {"device-gateway": "gateway", "gateway-backend": "backend", "backend-app": "backend"}
HOME = "acme"  # whose LAN is attacked; the wide-area hops carry both homes


def gather(demo):
    """Everything that anybody noticed so far."""
    evidence = demo.evidence = demo.evidence or Evidence()
    for name, watch in demo.watches.items():
        evidence.take_watch(f"{name}'s phone", watch.events)
    for name, process in demo.stack.processes.items():
        if process not in [watch.process for watch in demo.watches.values()]:
            who = next((device for home in demo.homes.values() for device in home.devices if device == name), name)
            evidence.take_security_log(who, process.log)
    return evidence


def whole_again(demo, count=2, patience=30):
    """New readings of every device reach their phone."""
    marks = {name: watch.events.mark() for name, watch in demo.watches.items()}
    for name, home in demo.homes.items():
        for device in home.devices:
            demo.watches[name].wait_readings(device, count, patience, marks[name])


def ends(demo, hop):
    """How often a connection over this hop was seen to end, and by whom."""
    if hop == "backend-app":
        return {f"{name}'s phone": len(watch.events.find("connection", lambda e: not e["connected"]))
                for name, watch in demo.watches.items()}
    if hop == "gateway-backend":
        return {f"{name}'s gateway": len(home.gateway.process.log.find("upstream_disconnected")) +
                len(home.gateway.process.log.find("downlink_disconnected")) for name, home in demo.homes.items()}
    return {name: len(device.process.log.find("disconnected")) for name, device in demo.homes[HOME].devices.items()}


def all_connected(demo):
    """Whoever is still reconnecting would not notice, and not log, that it is cut off once more."""
    def latest(log, up, down, is_up=lambda entry: True):
        entries = [entry for entry in log.read() if entry.get("event") in (up, down)]
        return bool(entries) and entries[-1]["event"] == up and is_up(entries[-1])
    return (all(latest(device.process.log, "connected", "disconnected") for device in demo.homes[HOME].devices.values()) and
            all(latest(home.gateway.process.log, "upstream_connected", "upstream_disconnected")
                for home in demo.homes.values()) and
            all(latest(watch.events, "connection", "connection", lambda entry: entry["connected"])
                for watch in demo.watches.values()))


def wires(demo):
    demo.screen.stage("Attacks on the wire", "A relay without credentials sees TLS records. Whatever it does to one ends that connection; "
                      "the sender still has what was not acknowledged and sends it again on the next.")
    before = {name: len(watch.events.find("missing")) for name, watch in demo.watches.items()}
    boxes = {hop: demo.world.infra(hop, "tcp", HOME) for hop in HOPS}
    for kind, _ in WIRE_ATTACKS:
        if kind == "ack_and_drop":
            continue  # a black hole: at the end, followed by a reboot of the box
        for direction in ("up", "down"):
            harness.wait_until(lambda: all_connected(demo), "everybody to be connected again", 10)
            seen = {hop: ends(demo, hop) for hop in HOPS}
            numbers = {hop: box.plan([{"kind": kind, "listener": hop, "direction": direction, "topic": "tls", "delay_ms": 50}])[0]
                       for hop, box in boxes.items()}
            for hop, box in boxes.items():
                box.wait_spent([numbers[hop]], 10)
                for raw in box.injections(numbers[hop]):
                    judge_wire(demo, Injection(hop, "tcp", raw), seen[hop])
        demo.screen.say(f"{kind:10} on all three hops, both ways: "
                        f"{sum(1 for i in demo.injections if i.form == 'tcp' and i.kind == kind)} injected")
    black_hole(demo, boxes)
    whole_again(demo)
    after = {name: len(watch.events.find("missing")) for name, watch in demo.watches.items()}
    demo.checks.check("wire.nothing_lost", before == after, "after all of it both phones have every record")


def judge_wire(demo, injection, seen_before):
    demo.injections.append(injection)
    if injection.kind in ("read", "delay"):
        injection.verdict, injection.why = "harmless", injection.detail or "came later"
        return

    def ended():
        now = ends(demo, injection.hop)
        return next((who for who, count in now.items() if count > seen_before.get(who, 0)), None)
    try:
        who = harness.wait_until(ended, f"a connection to end after {injection}", 5)
        injection.verdict, injection.by, injection.why = "refused", who, "TLS ends the connection"
    except harness.Failure:
        pass


def black_hole(demo, boxes):
    for hop, box in boxes.items():
        number = box.plan([{"kind": "ack_and_drop", "listener": hop, "topic": "tls"}])[0]
        box.wait_spent([number], 10)
        for raw in box.injections(number):
            injection = Injection(hop, "tcp", raw)
            injection.verdict, injection.why = "harmless", "sent again when the box was rebooted"
            demo.injections.append(injection)
    for box in set(boxes.values()):
        box.reboot()
    demo.screen.say("ack_and_drop: each box swallowed one direction of a connection, as a box that hangs, and was rebooted")


def plan_for(hop, direction, topic, seed):
    attacks = []
    for kind, target in RECORD_ATTACKS:
        if hop == "device-gateway" and (kind, target) == ("splice", "tenant"):
            continue  # a home's LAN carries one tenant and one instantiation: there is nothing to take from another
        if (kind, target) == ("splice", "instantiation"):
            continue  # each tenant has one home here: another instantiation is another tenant's, which is the row above
        attacks.append({"kind": kind, "target": target, "listener": hop, "direction": direction, "topic": topic, "seed": seed,
                        "delay_ms": {"delay": 200, "drop": 200}.get(kind)})
    return attacks


def balancers(demo):
    demo.screen.stage("Attacks by balancers that hold valid credentials", "These see every message and may send any. What they change no longer "
                      "opens, what they move to another place neither, and what they swallow leaves a numbered hole.")
    commands = Commands(demo)
    fights = [Fight(demo, hop, direction, "telemetry/") for hop, direction in
              (("device-gateway", "up"), ("gateway-backend", "up"), ("backend-app", "down"))]
    fights += [Fight(demo, hop, direction, "command/", commands) for hop, direction in
               (("backend-app", "up"), ("gateway-backend", "down"), ("device-gateway", "down"))]
    missed = []
    for fight in fights:
        missed += fight.run()
    demo.checks.check("attack.all_injected", not missed, f"every planned attack was really made {missed or ''}")
    commands.finish()
    demo.screen.say("a hole is called missing when it has not closed for two seconds; then everybody's notes are compared")
    settle(demo, fights, commands)
    for fight in fights:
        answered = sum(1 for injection in fight.injections if injection.verdict)
        demo.screen.say(f"{fight.title}: {answered} of {len(fight.injections)} accounted for")
        for injection in fight.injections:
            if not injection.verdict:
                demo.screen.say(demo.screen.bad(f"not accounted for: {injection}"))


class Fight:
    """All attacks on one hop, one way, one kind of topic."""

    def __init__(self, demo, hop, direction, topic, commands=None):
        self.demo = demo
        self.box = demo.world.infra(hop, "balancer", HOME)
        self.plan = plan_for(hop, direction, topic, 1 + HOPS.index(hop))
        self.commands = commands
        way = {"up": "towards the backend", "down": "towards its reader"}[direction]
        self.title = f"{hop}, {topic[:-1]} {way}"
        self.numbers = []
        self.injections = []

    def run(self):
        """Arms everything and waits until it is done; what could not be."""
        self.numbers = self.box.plan(self.plan)
        left = self.box.wait_spent(self.numbers, 25, self.commands.keep_going if self.commands else lambda: None)
        for number in left:
            self.box.disarm(number)
        self.injections = [Injection(self.plan[0]["listener"], "balancer", raw) for raw in self.raw()]
        self.demo.injections += self.injections
        self.demo.screen.say(f"{self.title}: {len(self.injections)} records attacked in {len(self.plan) - len(left)} ways")
        return [f"{self.title}: {attack['kind']} {attack['target'] or ''}".strip()
                for attack, number in zip(self.plan, self.numbers) if number in left]

    def raw(self):
        return [raw for raw in self.box.injections() if int(raw["attack"]) in self.numbers]

    def look_again(self):
        """A refusal may have come after the first look."""
        codes = {(int(raw["attack"]), *place_of(raw, raw.get("sequence"))): raw for raw in self.raw()}
        for injection in self.injections:
            raw = codes.get((injection.attack, *injection.genuine), {})
            injection.refused_code = int(raw.get("refused_code", 0))
            injection.refused_reason = raw.get("refused_reason", "")


def settle(demo, fights, commands):
    """Waits until each injected record is accounted for, or too long."""
    for fight in fights:
        fight.look_again()

    def nobody_left():
        evidence = gather(demo)
        left = False
        for fight in fights:
            for injection in fight.injections:
                if injection.verdict is None and not judge(injection, evidence, NEXT_HOP[injection.hop]):
                    answered = fight.commands is not None and commands.judge(injection)
                    left = left or not answered
        return not left
    try:
        harness.wait_until(nobody_left, "every injection to be accounted for", 8)
    except harness.Failure:
        pass


class Commands:
    """Keeps a few commands to the bulb under way, so that there is something to attack."""

    _numbers = itertools.count(1)

    def __init__(self, demo, at_once=8):
        self.demo = demo
        self.at_once = at_once
        self.running = []
        self.bulb = demo.homes[HOME].devices["bulb"].process

    def keep_going(self):
        self.running = [process for process in self.running if not process.ended()]
        while len(self.running) < self.at_once:
            number = next(self._numbers)
            app = self.demo.homes[HOME].app
            self.running.append(self.demo.stack.start(
                f"send-{number}", "keystead-mobile-stub", *app.arguments(), "send", "bulb",
                "on" if number % 2 else "off", "--timeout", "1", "--force", ports=False))

    def finish(self):
        for process in self.running:
            process.wait(10)

    def judge(self, injection):
        """Commands are done at most once, whatever comes how often (command.once); one that was swallowed stays
        unanswered, which the sender is told."""
        if injection.kind in HARMLESS:
            injection.verdict, injection.by, injection.why = "harmless", "bulb", "done at most once"
            return True
        if injection.kind == "ack_and_drop":
            unanswered = [name for name, process in self.demo.stack.processes.items()
                          if name.startswith("send-") and process.popen.returncode not in (0, None)]
            if unanswered:
                injection.verdict, injection.by, injection.why = "noticed", f"{HOME}'s phone", "no signed answer"
                return True
        return False


def agree(demo):
    """The three lists against each other: injected, refused or noticed, and what arrived."""
    demo.screen.stage("Do the three agree, record by record?", "What the attackers say they did, what was refused or noticed, and what arrived at the "
                      "phones must tell the same story: no attack without an answer, no alarm without an attack.")
    evidence = gather(demo)
    silent = [injection for injection in demo.injections if injection.verdict is None]
    demo.checks.check("attack.every_one_answered", not silent and demo.injections,
                      f"{len(demo.injections)} records were attacked; {len(silent)} of them remained without an answer")
    twice = [place for place, times in evidence.delivered.items() if times > 1]
    demo.checks.check("delivery.once", not twice, f"{len(evidence.delivered)} records reached the phones' readers, {len(twice)} of them twice")
    done = [(entry["signer"], entry["counter"]) for entry in demo.homes[HOME].devices["bulb"].process.log.find("command_done")]
    demo.checks.check("command.once", done and len(done) == len(set(done)),
                      f"the bulb did {len(done)} commands, none of them twice, although many came more than once")
    touched = {place for injection in demo.injections for place in (injection.genuine, injection.placed) if place}
    spoilt = {place for injection in demo.injections if injection.kind not in HARMLESS or injection.direction == "down"
              for place in (injection.genuine, injection.placed) if place}
    unexplained = [(place, found) for place, found in evidence.alarms.items()
                   if place not in touched and any(kind in ("open_failed", "signature_invalid", "conflict") for _, kind in found)]
    demo.checks.check("attack.no_alarm_without_attack", not unexplained,
                      f"every alarm about a record names one that was attacked {unexplained[:1] or ''}")
    lost = [(stream, first, last, who) for stream, gaps in evidence.missing.items() for first, last, who in gaps
            if not all((stream, sequence) in spoilt for sequence in range(first, last + 1))]
    demo.checks.check("delivery.no_gap_without_attack", not lost, f"every record that is missing was swallowed or spoilt {lost[:1] or ''}")
