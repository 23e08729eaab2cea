"""Rules R2 and R5 of the reference. Every negative test obeys R2 besides what it says itself: afterwards what was settled is as it was, everybody
still serves, and each refusal rang exactly once. Of whatever an assertion stops or exchanges, R5 wants it seen to be restored."""

import concurrent.futures
import hashlib
import json
import os

import paths  # noqa: F401
from harness import Failure
from host import looking
from provider_account import administer
from refusals import RANG_BY, refusals
from registry import NotMet, expect
from scenario import SETTLED

OF_COMMITS = "00" * 16  # the stream of commits, which belong to none: proto/keystead/v1/records.proto


def digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class NotRestored(Exception):
    """What an assertion did to processes was not undone: rule R5. Then nobody knows what it showed, nor what the next would."""


class Settled:
    """What no refused request may change: who belongs to each product with which rights in which epoch, to its owner and in the commits that are stored;
    which tenants a provider has with which limits; every record that is stored and served; and which processes run. Whoever there is not has no part in it."""

    def __init__(self, wired):
        backends = [name for name, process in wired.scenario.processes.items() if process["program"] == "keystead-backend"]
        self.records, self.sealed, commits = {}, set(), {}
        for name in backends:
            lines = [line for line in looking(wired.paths(name, "machine").records) if line.get("stream") and not line["trimmed"]]
            expect(lines, f"{name} holds no record: that none changed shows nothing")
            for line in lines:
                self.records[name, line["tenant"], line["log"], line["offset"], line["sequence"]] = digest(line)
                self.sealed.add(line["sha256"])
                if line["topic"] == "keyring" and line["stream"] == OF_COMMITS:
                    commits.setdefault(line["instantiation"], []).append(line["sha256"])
        self.members = {name: digest([owner.app.call("members"), sorted(commits.get(owner.instantiation, []))]) for name, owner in wired.products.items()}
        self.tenants = {name: digest(tenants_at(wired, name)) for name in backends}
        self.processes = processes(wired)

    def differs(self, later):
        """{one of SETTLED: whose}, where `later` is not as this was. Records may have come, none may have gone or become another."""
        found = {}
        for what in SETTLED:
            changed = {name if isinstance(name, str) else name[0] for name, value in getattr(self, what).items() if getattr(later, what).get(name) != value}
            if changed:
                found[what] = sorted(changed)
        return found

    def there_is(self):
        return [what for what in SETTLED if getattr(self, what)]


def tenants_at(wired, backend):
    """What its operator is told of all tenants, also of those that are gone."""
    told = [administer(wired, "list", backend=backend).stdout]
    for tenant in sorted(os.listdir(wired.pki_at(backend).tenants)):
        answer = administer(wired, "limits", tenant, backend=backend, check=False)
        told.append((answer.returncode, answer.stdout))
    return told


def processes(wired):
    """Each declared one's id; None when it has ended."""
    declared = {name: wired.process(name) for name in wired.scenario.processes if name not in wired.strangers}
    return {name: None if process.ended() else process.popen.pid for name, process in declared.items()}


def restoring(function, run, own=None):
    """What the function answers, once what it stopped runs again, but for what the run says has ended on purpose; and, where it exchanged a process and
    nobody will look at that later, once everybody serves. `own`: of a negative one, which are its own to stop; that of others none ends is for rule R2."""
    before = processes(run.wired)
    try:
        answer = function(run)
    except Exception as error:
        try:
            restored(before, run, own)
        except NotRestored as left:
            raise NotRestored(f"{left}, after {type(error).__name__}: {error}") from error
        raise
    restored(before, run, own, own is None)
    return answer


def restored(before, run, own, serves=True):
    now = processes(run.wired)
    left = sorted(name for name, there in before.items() if there and not now[name] and name not in run.ended_on_purpose and (own is None or name in own))
    if left:
        raise NotRestored(f"{', '.join(left)} ran before it and runs no more")
    if serves and now != before:
        try:
            run.new_readings(1, without=run.silent)
        except Failure as error:
            raise NotRestored(f"{', '.join(sorted(name for name in now if now[name] != before[name]))} was exchanged, and not everybody serves: {error}") from error


def serving(run):
    """Settled, once a new reading of everybody who measures has reached its owner; who was put out or stolen for good is in `run.silent`."""
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        settled = beside.submit(Settled, run.wired)
        run.new_readings(1, without=run.silent)
        return settled.result()


def judged(assertion, function, run):
    """What the function of a negative assertion answers, with what came after it; NotMet when that is not as R2 wants it."""
    before, run.settled = run.settled or Settled(run.wired), None
    refusals(run.stack).take()
    answer = restoring(function, run, assertion.get("changes", {}).get("processes", {}).get("of", []))
    observed, files = answer if isinstance(answer, tuple) else (answer, [])
    try:
        return f"{observed} | afterwards: {aftermath(assertion.get('changes', {}), before, run)}", files
    except NotMet as error:
        raise NotMet(error.observed, [*files, *error.files]) from None
    except Failure as error:
        raise NotMet(f"afterwards not everybody serves: {error}", files) from None


def beyond(these, those):
    """What of {one of SETTLED: whose} is not in another."""
    left = {what: sorted(set(names) - set(those.get(what, ()))) for what, names in these.items()}
    return {what: names for what, names in left.items() if names}


def aftermath(may_change, before, run):
    """`may_change`: one of SETTLED → {"of": whose, "because": …}."""
    refused, written = refusals(run.stack).take()
    for one in refused:
        run.within(lambda one=one: one.rang() >= one.count, RANG_BY, one.__str__)
    run.settled = after = serving(run)
    wrong = [str(one) for one in refused if not one.as_often()]
    expect(not wrong, "; ".join(wrong))
    changed = before.differs(after)
    allowed = {what: entry["of"] for what, entry in may_change.items()}
    odd, never = beyond(changed, allowed), beyond(allowed, changed)
    expect(not odd, f"afterwards this is not as it was: {odd}")
    expect(not never, f"it should have changed, and is as it was: {never}")
    kept = written & (after.sealed - before.sealed)
    expect(not kept, f"{len(kept)} of {len(written)} records are stored whose writing was refused")
    same = ", ".join(what for what in after.there_is() if what not in changed)
    told = [f"{same} as before" + (f" ({len(before.records)} records)" if before.records else ""), "everybody serves"]
    if refused:
        told.append(f"{sum(one.count for one in refused)} refusals rang {sum(one.rang() for one in refused)} times")
    return ", ".join(told)
