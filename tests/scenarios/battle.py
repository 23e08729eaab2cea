"""Attacks by equipment at which an adversary stands, on single records, each accounted for: the demonstration's machinery
(scripts/lib/demo_battle.py) on the processes of a scenario."""

import paths  # noqa: F401
import demo_battle
from demo_attacks import HARMLESS
from demo_commands import Commands
from registry import expect

PATIENCE = 30  # seconds until what is swallowed must have been called missing


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
        self.plan = [{"kind": kind, "target": target, "listener": listener, "direction": direction, "topic": topic, "seed": battle.seed,
                      "delay_ms": {"delay": 200, "drop": 200}.get(kind)} for kind, target in ways]
        self.commands = commands
        self.next_hop = next_hop
        self.title = f"{listener}, {topic[:-1]} {direction}"
        self.numbers, self.injections, self.not_made = [], [], []

    def finish(self):
        self.not_made = super().finish()
        return self.not_made

    def verdicts(self):
        """kind → verdict → how many."""
        table = {}
        for one in self.injections:
            cell = table.setdefault(one.kind, {})
            cell[one.verdict or "open"] = cell.get(one.verdict or "open", 0) + 1
        return table


def fight_out(fights, commands=None):
    """Makes all of them at once and waits until every injection is accounted for."""
    for fight in fights:
        fight.arm()
    for fight in fights:
        fight.finish()
    if commands is not None:
        commands.finish()
    battle = fights[0].demo
    demo_battle.settle(battle, fights, commands, PATIENCE)


def describe(fight):
    return [{"attack": one.name(), "listener": one.hop, "direction": one.direction, "topic": one.topic, "stream": one.genuine[0],
             "sequence": one.genuine[1], "placed": list(one.placed) if one.placed else None, "original_sha256": one.original_sha256,
             "injected_sha256": one.injected_sha256, "verdict": one.verdict or "open", "by": one.by, "why": one.why,
             "known": "" if one.verdict else fight.demo.evidence.about(one)} for one in fight.injections]


def judge(run, name, fights):
    """NotMet unless everything planned was made and is accounted for; (text, the file with all of it)."""
    file = run.keep(f"{name}.json", [line for fight in fights for line in describe(fight)])
    planned = sum(len(fight.plan) for fight in fights)
    made = [one for fight in fights for one in fight.injections]
    not_made = [text for fight in fights for text in fight.not_made]
    expect(not not_made and len(made) >= planned, f"{len(made)} of {planned} attacks were made; not: {', '.join(not_made)}", [file])
    twice = [one for one in made if one.verdict == "twice"]
    expect(not twice, f"taken twice: {', '.join(map(str, twice[:3]))}", [file])
    silent = [one for one in made if one.verdict not in ("refused", "noticed", "harmless")]
    expect(not silent, f"{len(silent)} of {len(made)} remained without an answer: {', '.join(map(str, silent[:3]))}", [file])
    delivered = fights[0].demo.evidence.delivered
    spoilt = [one for one in made if one.kind not in HARMLESS and one.placed and one.placed == one.genuine and delivered[one.genuine] and
              one.verdict == "noticed" and one.why == "open_failed" and delivered[one.genuine] > 1]
    expect(not spoilt, f"delivered although it was spoilt: {', '.join(map(str, spoilt[:3]))}", [file])
    count = {verdict: sum(1 for one in made if one.verdict == verdict) for verdict in ("refused", "noticed", "harmless")}
    return (f"{len(made)} injected = {count['refused']} refused by the next hop, which logged it + {count['noticed']} noticed by the reader "
            f"at exactly that record + {count['harmless']} without effect"), file
