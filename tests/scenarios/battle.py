"""Attacks by equipment at which an adversary stands, on single records, each accounted for: the demonstration's machinery
(scripts/lib/demo_battle.py) on the processes of a scenario."""

import random

import paths  # noqa: F401
import demo_battle
from demo_commands import Commands
from registry import expect

SPOILT = ("open_failed", "malformed", "signature_invalid", "conflict")
# Three with another tag: without a seal, which the mutant no_sealing shows, at least one of them is then done in time.
COMMANDS = [("modify", "stream"), ("modify", "cose_ciphertext"), *[("modify", "cose_tag")] * 3, ("truncate", "cose_tag"), ("duplicate", None),
            ("replay", None)]
PATIENCE = 20  # seconds until what is swallowed must have been called missing
WAVE = 100  # attacks at once: what is noticed of them has a line of its own in every log, which rations lines


class Battle:
    """What demo_battle calls `demo`: who is watched, and what was injected."""

    def __init__(self, run):
        self.stack = run.stack
        self.homes = run.wired.products
        self.watches = run.wired.watches
        self.seed = run.seed
        self.injections = []
        self.commands = []
        self.evidence = None
        self.screen = self

    def say(self, text):
        """The evidence says it all."""

    def commands_to(self, owner, device, at_once=3):
        return Commands(self, owner, at_once, device)


class Fight(demo_battle.Fight):
    """Attacks of one box on one listener, one way. `next_hop`: whose log must confirm what the box says was refused."""

    def __init__(self, battle, box, listener, direction, topic, ways, next_hop=None, commands=None):  # pylint: disable=super-init-not-called
        self.demo = battle
        self.hop = listener
        self.box = box
        self.plan = [{"kind": kind, "target": target, "listener": listener, "direction": direction, "topic": topic,
                      "seed": battle.seed + len(battle.injections) + number, "delay_ms": {"delay": 200, "drop": 200}.get(kind)}
                     for number, (kind, target) in enumerate(ways)]
        self.commands = commands
        self.next_hop = next_hop
        self.title = f"{listener}, {topic[:-1]} {direction}"
        self.numbers, self.injections, self.not_made = [], [], []

    def finish(self):
        self.not_made = super().finish()
        return self.not_made

    def raw(self):
        """Asked for attack by attack: all of a long run would not fit into one answer."""
        return [raw for number in self.numbers for raw in self.box.injections(number)]

    def look_again(self):
        if not all(one.verdict for one in self.injections):
            super().look_again()

    def verdicts(self):
        """kind → verdict → how many."""
        table = {}
        for one in self.injections:
            cell = table.setdefault(one.kind, {})
            cell[one.verdict or "open"] = cell.get(one.verdict or "open", 0) + 1
        return table


def fight_out(run, fights, commands=None):
    """Makes all of them at once and waits until every injection is accounted for. What was spoilt before, on whatever hop, may come by again."""
    for fight in fights:
        fight.arm()
    for fight in fights:
        fight.finish()
    if commands is not None:
        commands.finish()
    battle = fights[0].demo
    run.fights += fights
    demo_battle.settle(battle, run.fights, commands, PATIENCE)


def the_owner_is_obeyed(run, name, device, files=()):
    """The next good command is done, and none was done twice; `name`: of the product."""
    owner = run.wired.products[name]
    answer = next(line for line in owner.app.send(device, "on") if line["event"] == "answer")
    expect(answer["result"] == "done", f"the owner's next good command is answered {answer['result']}", files)
    done = [(entry["signer"], entry["counter"]) for entry in owner.devices[device].process.log.find("command_done")]
    expect(done and len(done) == len(set(done)), f"of {len(done)} commands done, {len(done) - len(set(done))} were done again", files)


def fight_commands(run, assertion, box, listener, direction, name, device, next_hop=None):
    """Commands of product `name` to a device, attacked by `box`; what judge() says, with the device obeying its owner afterwards."""
    battle = Battle(run)
    commands = battle.commands_to(name, device)
    fights = [Fight(battle, box, listener, direction, "command/", COMMANDS, next_hop, commands)]
    fight_out(run, fights, commands)
    text, file = judge(run, assertion, fights)
    the_owner_is_obeyed(run, name, device, [file])
    return text, [file]


def waves(ways, least, seed):
    """Every way once; then, until `least` attacks are planned, as many at once as can be told apart, drawn at random."""
    yield ways
    draw, planned = random.Random(seed), len(ways)
    while planned < least:
        wave = draw.choices(ways, k=min(WAVE, least - planned))
        planned += len(wave)
        yield wave


def fight_in_waves(run, ways, make, commands=None):
    """All fights of one hop, one after another; `make`: a Fight of some ways."""
    fights = []
    for wave in waves(ways, run.manipulations, run.seed):
        fight = make(wave)
        fight_out(run, [fight], commands)
        fights.append(fight)
    return fights


def describe(fight):
    return [{"attack": one.name(), "listener": one.hop, "direction": one.direction, "topic": one.topic, "stream": one.genuine[0],
             "sequence": one.genuine[1], "placed": list(one.placed) if one.placed else None, "original_sha256": one.original_sha256,
             "injected_sha256": one.injected_sha256, "verdict": one.verdict or "open", "by": one.by, "why": one.why,
             "delivered": fight.demo.evidence.delivered[one.genuine],
             "known": "" if one.verdict else fight.demo.evidence.about(one)} for one in fight.injections]


def taken_although_changed(one, evidence):
    """What a reader took in the place of a record whose bytes were changed, without a word about that very record. That its
    sender's next checkpoint does not fit comes later: an application has the value by then."""
    changed = one.kind in ("modify", "truncate") and one.target in ("cose_ciphertext", "cose_tag") and one.verdict != "refused"
    return changed and evidence.delivered[one.genuine] > 0 and not any(kind in SPOILT for _, kind in evidence.alarms.get(one.placed, ()))


def judge(run, name, fights):
    """NotMet unless everything planned was made and is accounted for; (text, the file with all of it)."""
    planned = sum(len(fight.plan) for fight in fights)
    made = [one for fight in fights for one in fight.injections]
    run.new_readings()  # what comes a second time may come late; and everybody still serves
    seen = demo_battle.gather(fights[0].demo)
    for one in made:
        if any(seen.delivered[place] > 1 for place in (one.genuine, one.placed) if place):
            one.verdict, one.why = "twice", "delivered more than once"
    twice = [one for one in made if one.verdict == "twice"]
    file = run.keep(f"{name}.json", [line for fight in fights for line in describe(fight)])
    not_made = [text for fight in fights for text in fight.not_made]
    expect(not not_made and len(made) >= planned, f"{len(made)} of {planned} attacks were made; not: {', '.join(not_made)}", [file])
    expect(not twice, f"taken twice: {', '.join(map(str, twice[:3]))}", [file])
    silent = [one for one in made if one.verdict not in ("refused", "noticed", "harmless")]
    expect(not silent, f"{len(silent)} of {len(made)} remained without an answer: {', '.join(map(str, silent[:3]))}", [file])
    taken = [one for one in made if taken_although_changed(one, fights[0].demo.evidence)]
    expect(not taken, f"delivered although they were changed: {', '.join(map(str, taken[:3]))}", [file])
    count = {verdict: sum(1 for one in made if one.verdict == verdict) for verdict in ("refused", "noticed", "harmless")}
    return (f"{len(made)} injected = {count['refused']} refused by the next hop, which logged it + {count['noticed']} noticed by the reader "
            f"at exactly that record + {count['harmless']} without effect"), file
