"""The demonstration's attacks: on every hop, as a wire without credentials and as a balancer that holds valid ones."""

import collections

import harness
from demo_attacks import RECORD_ATTACKS, WIRE_ATTACKS, Evidence, Injection, judge, place_of
from demo_commands import Commands
from world import HOPS, listener_of

HOME = "acme"  # whose LAN is attacked; the wide-area hops carry all homes
# Whose log must say that it refused what an attacker says was refused.
NEXT_HOP = {("device-gateway", "up"): f"{HOME}-gateway", ("gateway-backend", "up"): "backend", ("backend-app", "up"): "backend"}


def gather(demo):
    """Everything that anybody noticed so far."""
    evidence = demo.evidence = demo.evidence or Evidence()
    for name, watch in demo.watches.items():
        evidence.take_watch(f"{name}'s phone", watch.events)
    watching = [watch.process for watch in demo.watches.values()]
    for name, process in list(demo.stack.processes.items()):
        if process not in watching and not name.startswith("send-"):
            evidence.take_security_log(name, process.log)
    return evidence


def whole_again(demo, count=2, patience=30):
    """New readings of every device reach their phone."""
    marks = {name: watch.events.mark() for name, watch in demo.watches.items()}
    for name, home in demo.homes.items():
        for device in home.devices:
            demo.watches[name].wait_readings(device, count, patience, marks[name])


def holes(demo):
    """Streams of which a phone has a later record and not an earlier one."""
    found = []
    for name, watch in demo.watches.items():
        streams = {}
        for stream, sequence in watch.delivered():
            streams.setdefault(stream, set()).add(sequence)
        for stream, sequences in streams.items():
            gaps = set(range(min(sequences), max(sequences) + 1)) - sequences
            if gaps:
                found.append(f"{name}'s phone, stream {stream[:8]}: {sorted(gaps)[:5]}")
    return found


def ends(demo, hop):
    """How often a connection over this hop was seen to end, and by whom."""
    if hop == "backend-app":
        return {f"{name}'s phone": len(watch.events.find("connection", lambda e: not e["connected"]))
                for name, watch in demo.watches.items()}
    if hop == "gateway-backend":
        return {f"{name}-gateway": len(home.gateway.process.log.find("upstream_disconnected")) +
                len(home.gateway.process.log.find("downlink_disconnected")) for name, home in demo.homes.items()}
    return {name: len(device.process.log.find("disconnected")) for name, device in demo.homes[HOME].devices.items()}


def all_connected(demo):
    """Whoever is still reconnecting would not notice, and not log, that it is cut off once more."""
    def latest(log, up, down):
        return log.last(up)[0] > log.last(down)[0]
    return (all(latest(device.process.log, "connected", "disconnected") for device in demo.homes[HOME].devices.values()) and
            all(latest(home.gateway.process.log, "upstream_connected", "upstream_disconnected")
                for home in demo.homes.values()) and
            all((watch.events.last("connection")[1] or {}).get("connected") for watch in demo.watches.values()))


def wires(demo):
    demo.screen.stage("Attacks on the wire", "A relay without credentials sees TLS records. Whatever it does to one ends that connection; "
                      "the sender still has what was not acknowledged and sends it again on the next.")
    boxes = {hop: demo.world.infra(hop, "tcp") for hop in HOPS}
    missed, later = [], []
    for kind, _ in WIRE_ATTACKS:
        if kind == "ack_and_drop":
            continue  # a black hole: at the end, followed by a reboot of the box
        for direction in ("up", "down"):
            harness.wait_until(lambda: all_connected(demo), "everybody to be connected again", 10)
            seen = {hop: ends(demo, hop) for hop in HOPS}
            numbers = {hop: box.plan([{"kind": kind, "listener": listener_of(hop, HOME), "direction": direction, "topic": "tls",
                                       "delay_ms": 50}])[0] for hop, box in boxes.items()}
            for hop, box in boxes.items():
                if box.wait_spent([numbers[hop]], 10):
                    missed.append(f"{hop}, TLS record {direction}: {kind}")
                    box.disarm(numbers[hop])
                for raw in box.injections(numbers[hop]):
                    judge_wire(demo, Injection(hop, "tcp", raw), seen[hop], later)
        demo.screen.say(f"{kind:10} on all three hops, both ways: "
                        f"{sum(1 for i in demo.injections if i.form == 'tcp' and i.kind == kind)} TLS records attacked")
    missed += black_hole(demo, boxes, later)
    demo.checks.check("attack.all_injected", not missed, f"every attack planned on a wire was really made {missed or ''}")
    whole_again(demo)
    try:
        harness.wait_until(lambda: not holes(demo), "all records to have come", 10)
    except harness.Failure:
        pass
    left = holes(demo) + [event for watch in demo.watches.values() for event in watch.events.find("missing")]
    demo.checks.check("wire.nothing_lost", not left, f"after all of it every phone has every record of every stream {left[:2] or ''}")
    if not left:  # only now is it known that what was delayed, read or swallowed came after all
        for injection, why in later:
            injection.verdict, injection.why = "harmless", why


def judge_wire(demo, injection, seen_before, later):
    demo.injections.append(injection)
    if injection.kind == "read" and injection.detail != "no canary found":
        return  # it could read: remains without an answer
    if injection.kind in ("read", "delay"):
        later.append((injection, injection.detail or "came later"))
        return

    def ended():
        now = ends(demo, injection.hop)
        return next((who for who, count in now.items() if count > seen_before.get(who, 0)), None) or unused()

    def unused():
        # Whoever has nothing under way on a connection logs nothing when it ends: then the relay's word has to do.
        log = demo.world.infra(injection.hop, "tcp").process.log
        return "its peers" if log.find("attacked_connection_ended",
                                       lambda entry: entry["original_sha256"] == injection.original_sha256) else None
    try:
        who = harness.wait_until(ended, f"a connection to end after {injection}", 5)
        injection.verdict, injection.by, injection.why = "refused", who, "TLS ends the connection"
    except harness.Failure:
        if injection.kind == "drop":  # the last word on a connection that says no more; whether it was missed is seen at the end
            later.append((injection, "nothing followed it on that connection, and nothing is missing"))


def black_hole(demo, boxes, later):
    missed = []
    for hop, box in boxes.items():
        number = box.plan([{"kind": "ack_and_drop", "listener": listener_of(hop, HOME), "topic": "tls"}])[0]
        if box.wait_spent([number], 10):
            missed.append(f"{hop}, TLS record: ack_and_drop")
        for raw in box.injections(number):
            injection = Injection(hop, "tcp", raw)
            demo.injections.append(injection)
            later.append((injection, "all of it came after the box was rebooted"))
    for box in boxes.values():
        box.reboot()
    demo.screen.say("ack_and_drop: each box swallowed one direction of a connection, as a box that hangs, and was rebooted")
    return missed


def plan_for(hop, direction, topic, seed, ways):
    return [{"kind": kind, "target": target, "listener": listener_of(hop, HOME), "direction": direction, "topic": topic,
             "seed": seed, "delay_ms": {"delay": 200, "drop": 200}.get(kind)} for kind, target in ways]


def ways_on(demo, hop):
    """All but splices into places that the equipment of this hop never meets."""
    return [(kind, target) for kind, target in RECORD_ATTACKS
            if not (kind == "splice" and target in demo.world.nobody_elses.get(hop, ()))]


def balancers(demo):
    demo.screen.stage("Attacks by balancers that hold valid credentials", "These see every message and may send any. What they change no longer "
                      "opens, what they move to another place neither, and what they swallow leaves a numbered hole.")
    commands = Commands(demo, HOME)
    readings = [Fight(demo, hop, direction, "telemetry/", ways_on(demo, hop)) for hop, direction in
                (("device-gateway", "up"), ("gateway-backend", "up"), ("backend-app", "down"))]
    # Every command is a program of its own, started and ended: the hops take turns, so that each way is tried on one.
    turns = 1 if demo.thorough else len(HOPS)
    orders = [Fight(demo, hop, direction, "command/", ways_on(demo, hop)[turn % turns::turns], commands) for turn, (hop, direction) in
              enumerate((("backend-app", "up"), ("gateway-backend", "down"), ("device-gateway", "down")))]
    fights = readings + orders
    missed = []
    # The way to the readers by itself: whoever sends a command reads as well, and would meet what is meant for the watching
    # phone. And first, because what is swallowed there takes longest to be called missing.
    # Commands before the readings beside them: it is while they are waited for that new ones are sent.
    for beside in ((readings[2],), (orders[0], readings[0]), (orders[1], readings[1]), (orders[2],)):
        for fight in beside:
            fight.arm()
        for fight in beside:
            missed += fight.finish()
    commands.finish()
    demo.given_up = commands.given_up()
    demo.checks.check("attack.all_injected", not missed, f"every attack planned for a balancer was really made {missed or ''}")
    borrowed(demo, fights)
    demo.screen.say("a hole is called missing when it has not closed for two seconds; then everybody's notes are compared")
    settle(demo, fights, commands)
    for fight in fights:
        answered = sum(1 for injection in fight.injections if injection.verdict)
        demo.screen.say(f"{fight.title}: {answered} of {len(fight.injections)} accounted for")
        for injection in fight.injections:
            if not injection.verdict:
                became = commands.outcome(injection.genuine[0]) if fight.commands else ""
                demo.screen.say(demo.screen.bad(f"not accounted for: {injection} {became} {demo.evidence.about(injection)}"))


def member_epochs(demo):
    """By topic of readings: the epochs in which its device is a member."""
    epochs = {}
    for home in demo.homes.values():
        membership = home.app.call("members")[0]
        for member in membership["members"]:
            epochs[f"telemetry/{member['member']}"] = range(member["since_epoch"], membership["epoch"] + 1)
    return epochs


def borrowed(demo, fights):
    """A record spliced into another epoch must stand in one in which its device might have written it: in any other every hop would
    turn it away. Whether the device did is not asked: an epoch may be lent by a record that another attack moved there."""
    epochs = member_epochs(demo)
    found = [injection for fight in fights for injection in fight.injections
             if (injection.kind, injection.target) == ("splice", "epoch")]
    telemetry = [injection for injection in found if injection.topic.startswith("telemetry/")]
    real = [injection for injection in telemetry if injection.placed_epoch in epochs.get(injection.topic, ()) and
            injection.placed_epoch != injection.epoch]
    nowhere = [f"{injection}, a member in {list(epochs.get(injection.topic, ()))}" for injection in telemetry if injection not in real]
    demo.checks.check("attack.real_epochs", telemetry and not nowhere,
                      f"{len(real)} of {len(telemetry)} readings moved to another epoch went into one in which their device is a member {nowhere or ''}")
    homes = {home.instantiation for home in demo.homes.values()}
    moved = [injection for fight in fights for injection in fight.injections
             if injection.kind == "splice" and injection.target in ("instantiation", "tenant")]
    into = [injection for injection in moved if injection.placed_instantiation in homes - {injection.instantiation}]
    demo.checks.check("attack.real_homes", moved and into == moved,
                      f"{len(into)} of {len(moved)} records moved to another home or tenant went into a home that exists")


class Fight:
    """All attacks on one hop, one way, one kind of topic."""

    def __init__(self, demo, hop, direction, topic, ways, commands=None):
        self.demo = demo
        self.hop = hop
        self.box = demo.world.infra(hop, "balancer")
        self.plan = plan_for(hop, direction, topic, 1 + HOPS.index(hop), ways)
        self.commands = commands
        self.next_hop = NEXT_HOP.get((hop, direction))
        way = {"up": "towards the backend", "down": "towards its reader"}[direction]
        self.title = f"{hop}, {topic[:-1]} {way}"
        self.numbers = []
        self.injections = []

    def arm(self):
        self.numbers = self.box.plan(self.plan)

    def finish(self):
        """Waits until all of it is done; what could not be."""
        left = self.box.wait_spent(self.numbers, 25, self.commands.keep_going if self.commands else lambda _: None)
        for number in left:
            self.box.disarm(number)
        self.injections = [Injection(self.hop, "balancer", raw) for raw in self.raw()]
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


def settle(demo, fights, commands, patience=8):
    """Waits until each injected record is accounted for, or too long."""
    for fight in fights:
        fight.look_again()
    placed = collections.Counter(injection.placed for fight in fights for injection in fight.injections if injection.placed)
    spoiled = {injection.left for fight in fights for injection in fight.injections if injection.left and injection.left != injection.found}

    def taken_by_others(injection):
        return {place for place in (injection.placed, injection.genuine)
                if placed[place] > (1 if place == injection.placed else 0)}

    def nobody_left():
        evidence = gather(demo)
        left = False
        for fight in fights:
            for injection in fight.injections:
                if injection.verdict is None and \
                        not judge(injection, evidence, fight.next_hop, taken_by_others(injection), spoiled):
                    answered = fight.commands is not None and commands.judge(injection)
                    left = left or not answered
        return not left
    try:
        harness.wait_until(nobody_left, "every injection to be accounted for", patience)
    except harness.Failure:
        pass
