#!/usr/bin/env python3
"""The demonstration: see docs/demonstration.md. scripts/demo builds and calls this."""

import argparse
import json
import os
import pathlib
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "scripts/lib")]

import demo_agree
import demo_battle
import demo_membership
import demo_secrecy
import demo_stages
import harness
from demo_attacks import MEANING
from demo_report import Assertions, Screen
from world import HOPS

# Broken on purpose → the assertions that must notice. All others must pass.
MUTANTS = {
    "aad_omits_stream": {"seal.stream_bound"},
    "constant_nonce": {"seal.nonce_unique"},
    "one_key_for_all": {"seal.key_per_stream"},
    "replay_window_off": {"delivery.once"},
    "ack_before_sync": {"durability.power_cut"},
    "tenant_filter_off": {"tenancy.foreign_refused"},
    "no_sealing": {"secrecy.backend_files"},
}
# Without any seal nothing that rests on one can hold: these may fail beside it.
ALSO = {"no_sealing": ("seal.", "secrecy.", "attack.", "delivery.")}


def summary(demo):
    """Hop × attack: injected = refused + noticed + without effect."""
    screen = demo.screen
    screen.stage("Hop by hop", "Each cell: records attacked = refused (by the next hop, or by TLS) + noticed by a reader at exactly that "
                 "record + without effect (came once, in its place). What does not add up would be marked.")
    for form, title in (("tcp", "on the wire, without credentials"), ("balancer", "as a balancer with valid credentials")):
        rows = []
        kinds = [kind for kind in MEANING if any(i.kind == kind and i.form == form for i in demo.injections)]
        for kind in kinds:
            row, who = [kind, MEANING[kind]], set()
            for hop in HOPS:
                here = [i for i in demo.injections if (i.form, i.kind, i.hop) == (form, kind, hop)]
                count = {verdict: sum(1 for i in here if i.verdict == verdict) for verdict in ("refused", "noticed", "harmless")}
                unanswered = len(here) - sum(count.values())
                who |= {i.by.removeprefix("acme's ").removeprefix("cabin's ").removeprefix("globex's ") for i in here if i.by}
                text = f"{len(here):2} = {count['refused']:2} + {count['noticed']:2} + {count['harmless']:2}"
                row.append(text + (f"  {unanswered} OPEN" if unanswered else ""))
            row.append(", ".join(sorted(who)))
            rows.append(row)
        screen.line()
        screen.line(f"   {title}")
        screen.table(("attack", "what it does", *HOPS, "refused or noticed by"), rows)
    stories(demo)


def stories(demo):
    """Attack × message, for what is no record: how each ended."""
    messages = list(dict.fromkeys(story.message for story in demo.stories))
    rows = []
    for kind in MEANING:
        cells = [next((demo_membership.ENDING.get(story.ending, "NO ANSWER") for story in demo.stories
                       if (story.message, story.kind) == (message, kind)), "") for message in messages]
        if any(cells):
            rows.append((kind, MEANING[kind], *cells))
    if rows:
        demo.screen.line()
        demo.screen.line("   on joining and on membership, as a balancer with valid credentials: how each attack ended")
        demo.screen.table(("attack", "what it does", *messages), rows)


NOT_SHOWN = [
    "Withholding and delay are bounded and shown, never prevented: whoever carries can stop carrying.",
    "Who talks to whom, how often and how much stays visible to everybody on the path.",
    "All runs on one machine; radio, real hardware, side channels and a live memory snapshot of a device are out of reach here.",
    "Power cuts are made in a program of its own (keystead-storage-crash) around the same store: a simulated disk, not this run's.",
    "The search sees this run's memory at one moment. That the backend cannot read stands on its build: it does not link "
    "core/sealing, which tests/house checks.",
]


def run_stages(demo, stages):
    """A stage that cannot go on, whatever the reason, fails under its own name; the next ones still run where they can."""
    for name, stage in stages:
        try:
            stage(demo)
        except Exception as error:  # also a mistake in the stage itself must not pass for a success
            lines = str(error).splitlines() or [repr(error)]
            if not isinstance(error, harness.Failure):
                lines = [f"{type(error).__name__}: {lines[0]}"] + traceback.format_exc().splitlines()[-6:]
            demo.checks.check(f"stage.{name}", False, lines[0])
            for line in lines[1:12]:
                demo.screen.line("         " + demo.screen.dim(line[:160]), always=True)
            if name in ("begin", "join"):
                break


def write_json(path, demo, passed, seconds):
    result = {
        "passed": passed, "mutant": demo.mutant or "", "seconds": round(seconds, 1),
        "assertions": [{"name": name, "passed": ok, "text": text} for name, (ok, text) in demo.checks.results.items()],
        "injections": [{"hop": i.hop, "form": i.form, "direction": i.direction, "kind": i.kind, "target": i.target,
                        "topic": i.topic, "refused_code": i.refused_code, "stream": i.genuine[0], "sequence": i.genuine[1],
                        "placed": list(i.placed) if i.placed else None, "original_sha256": i.original_sha256,
                        "injected_sha256": i.injected_sha256, "verdict": i.verdict, "by": i.by, "why": i.why}
                       for i in demo.injections],
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")


def conclude(demo, arguments, stubborn, seconds):
    screen, checks = demo.screen, demo.checks
    failed = checks.failed()
    screen.line()
    screen.line("What this did not show")
    for text in NOT_SHOWN:
        screen.say(text)
    screen.line()
    passed = len(checks.results) - len(failed)
    screen.line(f"{passed} of {len(checks.results)} assertions passed, {len(demo.injections)} records attacked, {seconds:.0f} s", always=True)
    for name in failed:
        screen.line(screen.bad(f"failed: {name}") + f": {checks.results[name][1]}", always=True)
    if arguments.mutant:
        expected = MUTANTS[arguments.mutant]
        caught = expected & set(failed)
        if not caught:
            screen.line(screen.bad(f"mutant {arguments.mutant} was NOT caught: {', '.join(sorted(expected))} passed"), always=True)
            return 2
        others = sorted(name for name in set(failed) - expected if not name.startswith(ALSO.get(arguments.mutant, ())))
        rest = len(failed) - len(caught) - len(others)
        if rest:
            screen.line(f"{rest} more that rest on the seal failed with it")
        screen.line(f"mutant {arguments.mutant} was caught by {', '.join(sorted(caught))}" +
                    (f"; also failed: {', '.join(others)}" if others else "; all other assertions passed"), always=True)
        return 1
    if failed or stubborn:
        return 1
    screen.line(screen.good("Everything was as expected."), always=True)
    return 0


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--story")
    parser.add_argument("--thorough", action="store_true")
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    parser.add_argument("--control-bins", required=True)
    arguments = parser.parse_args()
    for program in ("keystead-backend", "keystead-gateway", "keystead-device-sim", "keystead-mobile-stub"):
        if not (pathlib.Path(arguments.control_bins) / program).exists():
            sys.exit(f"error: {arguments.control_bins}/{program} is missing: run scripts/demo without --no-build")
    screen = Screen(arguments.story)
    checks = Assertions(screen)
    started = time.monotonic()
    if arguments.mutant:
        screen.line(screen.bad(f"Broken on purpose: {arguments.mutant}. This run must fail in {', '.join(MUTANTS[arguments.mutant])}."))
    with harness.Stack("demo", keep=arguments.keep, mutant=arguments.mutant) as stack:
        demo = demo_stages.Demo(screen, checks, stack, arguments.mutant, arguments.thorough)
        run_stages(demo, [
            ("begin", demo_stages.begin), ("join", demo_stages.join), ("readings", demo_stages.readings),
            ("command", demo_stages.command),
            # What needs no eyes runs beside the stages that mostly wait.
            ("beside", lambda _: demo_stages.start_beside(
                demo, lambda: demo_secrecy.control(demo, pathlib.Path(arguments.control_bins)))),
            ("eavesdropper", demo_stages.eavesdropper),
            ("other_tenant", demo_stages.other_tenant), ("joining", demo_membership.joining),
            ("membership", demo_membership.membership), ("wires", demo_battle.wires), ("balancers", demo_battle.balancers),
            ("agree", demo_agree.agree), ("secrecy", demo_secrecy.secrecy), ("power_cut", demo_stages.power_cut),
        ])
        screen.stage("The end", "Every process is asked to end, and does.")
        stubborn = []
        if demo.world is not None:  # those who send first, so that what they still hold finds its way
            senders = [device.process for home in demo.homes.values() for device in home.devices.values()]
            stubborn += stack.stop(processes=senders + [watch.process for watch in demo.watches.values()])
            stubborn += stack.stop(processes=[home.gateway.process for home in demo.homes.values()])
        stubborn += stack.stop()
        bad = [name for name, process in stack.processes.items()
               if not name.startswith("send-") and process.popen.returncode not in (0, None)]
        checks.check("end.graceful", not stubborn and not bad, f"all processes ended by themselves with exit code 0 {stubborn + bad or ''}")
        if demo.injections:
            summary(demo)
        seconds = time.monotonic() - started
        code = conclude(demo, arguments, stubborn, seconds)
        if arguments.json:
            write_json(arguments.json, demo, code == 0, seconds)
        if arguments.keep:
            screen.line(f"kept: {stack.folder}")
    return code


if __name__ == "__main__":
    sys.exit(main())
