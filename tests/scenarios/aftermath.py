"""Rule R2 of the reference, which every negative test obeys besides what it says itself: afterwards what was settled is as it was, everybody
still serves, and each refusal rang exactly once."""

import concurrent.futures
import hashlib
import json
import os

import paths  # noqa: F401
from host import looking
from provider_account import administer
from refusals import RANG_BY, refusals
from registry import expect
from scenario import SETTLED


def digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class Settled:
    """What no refused request may change: who belongs to each product with which rights in which epoch, which tenants a provider has with which
    limits, every record that is stored, and which processes run."""

    def __init__(self, wired):
        backends = [name for name, process in wired.scenario.processes.items() if process["program"] == "keystead-backend"]
        self.members = {name: digest(owner.app.call("members")) for name, owner in wired.products.items()}
        self.tenants = {name: digest(tenants_at(wired, name)) for name in backends}
        self.records = {}
        for name in backends:
            for line in looking(wired.paths(name, "machine").records):
                if line.get("stream"):
                    self.records[name, line["tenant"], line["log"], line["offset"], line["sequence"]] = line["sha256"]
        self.processes = {name: running(wired, name) for name in wired.scenario.processes if name not in wired.strangers}

    def differs(self, later):
        """{one of SETTLED: who or how many}, where `later` is not as this was. Records may have come, none may have gone or become another."""
        found = {what: sorted(name for name, value in getattr(self, what).items() if getattr(later, what).get(name) != value) for what in SETTLED}
        return {what: names for what, names in found.items() if names}


def tenants_at(wired, backend):
    """What its operator is told of all tenants, also of those that are gone."""
    asked = [("list",), *(("limits", one) for one in sorted(os.listdir(wired.pki_at(backend).tenants)))]
    return [(answer.stdout, answer.stderr) for answer in (administer(wired, *words, backend=backend, check=False) for words in asked)]


def running(wired, name):
    """The process's id; None when it has ended."""
    process = wired.process(name)
    return None if process.ended() else process.popen.pid


def everybody_serves(run):
    """A new reading of everybody who measures reaches its owner; who was put out or stolen for good is in `run.silent`."""
    run.new_readings(1, without=run.silent)


def judged(assertion, function, run):
    """What the function of a negative assertion answers, with what came after it; NotMet when that is not as R2 wants it."""
    may_change = assertion.get("changes", {})
    before, run.settled = run.settled or Settled(run.wired), None
    refusals(run.stack).take()
    answer = function(run)
    observed, files = answer if isinstance(answer, tuple) else (answer, [])
    refused = refusals(run.stack).take()
    for one in refused:
        run.within(lambda one=one: one.rang() >= one.count, RANG_BY, one.__str__)
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        settled = beside.submit(Settled, run.wired)
        everybody_serves(run)
        run.settled = settled.result()
    wrong = [str(one) for one in refused if not one.as_often()]
    expect(not wrong, "; ".join(wrong), files)
    changed = before.differs(run.settled)
    odd = {what: names[:3] for what, names in changed.items() if what not in may_change}
    expect(not odd, f"afterwards this is not as it was: {odd}", files)
    never = sorted(set(may_change) - set(changed))
    expect(not never, f"it should have changed, and is as it was: {', '.join(never)}", files)
    same = [what for what in SETTLED if what not in changed]
    counts = sum(one.count for one in refused)
    heard = f", and {counts} refusals rang {sum(one.rang() for one in refused)} times" if refused else ""
    return f"{observed} | afterwards: {', '.join(same)} as before{f' ({len(before.records)} records)' if 'records' in same else ''}, everybody serves{heard}", files
