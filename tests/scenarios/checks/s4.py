"""S4: another developer's app, first without a grant, then with a narrow one, then with one that was taken back."""

import collections
import copy
import datetime
import functools
import hashlib
import json
import os
import pathlib
import random
import re
import sys
import time

import corpus
import evidence
import scenario as scenarios
import shapes
import yaml
from harness import ROOT
from home import App
from interface import interface
from product_keys import held_keys, ring_of
from refusals import refusals
from registry import assertion, expect
from scenario import GUEST
from stranger import INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, Stranger, field, publication, subscription
from tls_client import Forger, s_client
from watched import fields

STRANGER, OWNER = "other-app", "phone"
HOPS = ("home-gateway", "backend")
COMES = 60  # seconds
OUT_WITHIN = 2.0  # seconds from taking back until who had a grant is served nothing more
FORGED = 4711.0
# What members may call, within what they may read and write, and what a tenant has signed, whoever brings it; of every other call a hop
# has nothing for them, whatever it is.
OF_MEMBERS = {"Transport/Publish", "Transport/Subscribe", "Registry/Fetch", "Rendezvous/Put", "Rendezvous/Await", "Revocation/Put"}
MOST_OF_A_REFUSAL = 100  # bytes
# What a Fetch needs no more of than tenant and instantiation, or what it may leave out.
GOOD_FETCHES = tuple(f"Registry/Fetch {what}" for what in ("ten thousand topics", "from_epoch: another type", "from_epoch: the largest number", "from_epoch: zero",
                                                           "from_epoch: twice, and different"))
OFTEN = 400  # calls, more than one caller may make at once at either hop (README of backend, gateway/proxy.h)
GRANTED = "bulb"  # what the owner lets the other app read; the planted text is the probe's


class Known:
    """What the other app knows of the home: identifiers, and no key."""

    def __init__(self, run):
        owner = run.wired.products["home"]
        self.tenant, self.instantiation = owner.tenant, bytes.fromhex(owner.instantiation)
        told = owner.app.call("members")[0]
        self.epoch, self.members = told["epoch"], {member["device"]: bytes.fromhex(member["member"]) for member in told["members"]}
        self.topics = [f"{kind}/{self.members[device].hex()}" for device in ("bulb", "probe") for kind in ("telemetry", "state")]

    def owner_id(self, app):
        [one] = [member for member in app.call("members")[0]["members"] if member["transport"] == app.leaf.spiffe]
        return bytes.fromhex(one["member"])


def write(run, stranger, known, hop, topic=None, sender=None):
    """It publishes what it calls the owner's command to the bulb, or something else; the refusals in the answer."""
    topic = topic or f"command/{known.members['bulb'].hex()}"
    sender = sender or known.owner_id(run.wired.apps[OWNER])
    request = publication(known.tenant, known.instantiation, topic, sender, known.epoch, os.urandom(16), os.urandom(200))
    answer = stranger.call(run.wired.hops[hop], "Transport/Publish", request)
    return [dict(fields(value)) for message in answer.messages for number, value in fields(message) if number == 2]


@assertion("S4.1a")
def nobody_serves_it(run):
    stranger, owner, known = run.wired.strangers[STRANGER], run.wired.apps[OWNER], Known(run)
    told = []
    for name in HOPS:
        hop = run.wired.hops[name]
        mine = [line for line in owner.call("raw", "--last", "3", "--wait", "3", hop=hop, check=False)[0] if line["event"] == "held"]
        expect(mine, f"the owner's own app is not served at {name} either: a refusal there proves nothing")
        answer = stranger.call(hop, "Transport/Subscribe", subscription(known.tenant, known.instantiation, [*known.topics, "keyring"]))
        expect(not answer.messages and answer.code == NOT_FOUND, f"{name}, asked for records: {answer}")
        refused = write(run, stranger, known, name)
        expect([one.get(3) for one in refused] in ([NOT_FOUND], [PERMISSION_DENIED]), f"{name}, given a command: refused are {refused}")
        told.append(f"{name}: {answer.said}; of its writing: {refused[0][4].decode()}")
    return "; ".join(told)


@assertion("S4.1b")
def the_bulb_does_not_obey_it(run):
    stranger, known, owner = run.wired.strangers[STRANGER], Known(run), run.wired.apps[OWNER]
    bulb = run.wired.devices["bulb"].process
    done, told = len(bulb.log.find("command_done")), []
    for name in HOPS:
        refused = write(run, stranger, known, name)
        told.append(f"through {name}: {refused[0][4].decode() if refused else 'carried'}")
    reply = next(line for line in owner.send("bulb", "on") if line["event"] == "answer")
    expect(reply["result"] == "done", f"the owner's own command is answered {reply['result']}")
    now = len(bulb.log.find("command_done"))
    expect(now == done + 1, f"the bulb did {now - done} commands, and one was the owner's")
    return f"its commands, {'; '.join(told)}: none done, and the owner's next one was"


class Grant:
    """What the owner let the other app read, and what of it there was before: made once, by S4.1c."""

    def __init__(self, run):
        wired, self.owner = run.wired, run.wired.apps[OWNER]
        stranger, hop, self.home = wired.strangers[STRANGER], wired.next_hop(STRANGER), wired.products["home"]
        self.app = App(run.stack, wired.pki_of(self.home.tenant), self.home.tenant, STRANGER, hop, role="thirdparty", place=stranger.place)
        self.until = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(hours=1)
        end, who = ("--until", self.until.strftime("%Y-%m-%dT%H:%M:%SZ")), ("--guest", self.app.leaf.spiffe)
        wrong = {"names nothing to read": ((*who, *end), "may read nothing"), "names no end": ((*who, "--may-read", GRANTED), "until when"),
                 "names an end that is over": ((*who, "--may-read", GRANTED, "--until", "2020-01-01T00:00:00Z"), "is over"),
                 "names somebody who measures nothing": ((*who, "--may-read", OWNER, *end), "measures nothing"),
                 "names another than whose label it is": (("--guest", f"spiffe://{self.home.tenant}/app/another", "--may-read", GRANTED, *end), "label is not of")}
        self.refused, self.otherwise = [], {}
        asking, label = self.app.ask_in(COMES)
        for what, (terms, why) in wrong.items():
            _, result = self.owner.pair([label], wait=10, check=False, terms=terms)
            if result.returncode and why in result.stderr:
                self.refused.append(what)
            else:
                self.otherwise[what] = (result.returncode, result.stderr.strip())
        self.alone = asking.ended()  # whether asking was enough
        self.owner.pair([label], terms=(*who, "--may-read", GRANTED, *end))
        expect(asking.wait(COMES) == 0, f"the app was not let in: {asking.tail()}")
        self.epoch = self.owner.status_epoch()
        self.own = next(one for one in self.owner.call("members")[0]["members"] if one["transport"] == self.app.leaf.spiffe)
        self.watch = self.app.watch()
        stranger.alone = False
        run.new_readings(3)
        self.watch.wait_readings(GRANTED, 2, COMES)


@functools.cache
def granted(run):
    return Grant(run)


def iso(told):
    return datetime.datetime.fromtimestamp(told, datetime.timezone.utc)


@assertion("S4.1c")
def a_grant_is_an_act_of_the_owner(run):
    grant = granted(run)
    expect(not grant.alone, "it came in by asking")
    expect(not grant.otherwise, f"the owner's app did not refuse a grant that {grant.otherwise}")
    scope = [(right["topic"], right["read"], right["write"]) for right in grant.own["rights"]]
    wanted = [(f"telemetry/{Known(run).members[GRANTED].hex()}", True, False)]
    expect(grant.own["kind"] == "reader" and scope == wanted, f"the roster has it as {grant.own}")
    expect(iso(grant.own["expires_at"]) == grant.until, f"its end is {iso(grant.own['expires_at'])}")
    theirs = next(one for one in grant.app.call("members")[0]["members"] if one["self"])
    expect(theirs["rights"] == grant.own["rights"] and theirs["expires_at"] == grant.own["expires_at"], f"it was told otherwise: {theirs}")
    return (f"refused: a grant that {'; one that '.join(grant.refused)}; made: {scope[0][0]} to read until {grant.until}, signed by the owner in epoch "
            f"{grant.epoch} and the same in both apps")


@assertion("S4.2")
def nothing_outside_of_the_scope(run):
    grant, known, stranger, told = granted(run), Known(run), run.wired.strangers[STRANGER], []
    mine, probe = f"telemetry/{known.members[GRANTED].hex()}", known.members["probe"]
    others = [*(topic for topic in known.topics if topic != mine), *(f"command/{known.members[device].hex()}" for device in ("bulb", "probe"))]
    for name in HOPS:
        hop = run.wired.hops[name]
        served = stranger.call(hop, "Transport/Subscribe", subscription(known.tenant, known.instantiation, [mine]), seconds=2)
        content = b"".join(served.messages)
        expect(len(content) > 500, f"{name} does not serve what was granted: {served}")
        named = [what for what, value in (("the probe", probe), ("the planted text", run.wired.canary.untold.encode())) if value in content or value.hex().encode() in content]
        expect(not named, f"what {name} serves of the bulb names {named}")
        wrong = {}
        for topic in others:
            answer = stranger.call(hop, "Transport/Subscribe", subscription(known.tenant, known.instantiation, [topic]), seconds=2)
            if answer.messages or answer.code not in (NOT_FOUND, PERMISSION_DENIED):
                wrong[topic] = str(answer)
        expect(not wrong, f"{name} serves {wrong}")
        for topic in (mine, others[-1], f"command/{known.members[GRANTED].hex()}"):
            refused = write(run, stranger, known, name, topic, bytes.fromhex(grant.own["member"]))
            expect([one.get(3) for one in refused] in ([NOT_FOUND], [PERMISSION_DENIED]), f"{name}, given something for {topic}: refused are {refused}")
        calls = {f"{call.service}/{call.name}" for call in interface().of_hops()} - OF_MEMBERS
        answers = {method: stranger.call(hop, method, field(1, known.tenant) + field(2, known.instantiation), seconds=2) for method in sorted(calls)}
        let_in = {method: str(answer) for method, answer in answers.items() if answer.messages or answer.code != PERMISSION_DENIED}
        expect(len(calls) > 10 and not let_in, f"of {len(calls)} calls that are not for members {name} answers {let_in}")
        told.append(f"{name}: {len(content)} bytes of {mine.split('/')[0]} of the bulb, nothing of {len(others)} other topics, 3 of 3 writings and {len(calls)} of {len(calls)} "
                    "calls that are not a member's refused")
    shown = {entry["device"] for entry in grant.watch.records()}
    expect(shown == {GRANTED}, f"its own program shows {sorted(shown)}")
    for words in (("send", GRANTED, "on", "--force"), ("remove", GRANTED)):
        _, result = grant.app.call(*words, check=False)
        expect(result.returncode != 0 and "guest" in result.stderr, f"its own program: {words[0]} ended with {result.returncode}: {result.stderr.strip()}")
    return "; ".join(told)


def opened_by_it(run, state):
    """What the keys in a state of the app open of the backend's whole database: lines of topic, epoch, records, opened."""
    grant, folder = granted(run), pathlib.Path(run.stack.path(f"ring-of-{pathlib.Path(state).name}"))
    ring_of(grant.home, folder, state)
    return run.adversary("adv-host").machine("backend").opened_with(folder)["places"]


@functools.cache
def kept_by_it(run):
    """A copy of its state while the grant held."""
    kept = pathlib.Path(run.stack.path("kept-state"))
    kept.mkdir(mode=0o700)
    for name in ("member", "guest"):
        file = kept / name
        file.write_bytes(pathlib.Path(granted(run).app.state, name).read_bytes())
        file.chmod(0o600)
    return kept


@assertion("S4.3a")
def a_key_of_its_own(run):
    grant, mine = granted(run), f"telemetry/{Known(run).members[GRANTED].hex()}"
    secret, topics, senders = held_keys(grant.app)
    owners, _, _ = held_keys(grant.owner)
    expect(owners and not secret and set(topics) == {mine} and senders <= {mine}, f"it holds a secret: {bool(secret)}; keys of {sorted({*topics, *senders})}")
    places = opened_by_it(run, kept_by_it(run))
    file = run.keep("S4.3a.json", places)
    opened = [(one["topic"], one["epoch"]) for one in places if one["opened"]]
    since = [one for one in places if one["topic"] == mine and one["epoch"] >= grant.epoch]
    before = sum(one["records"] for one in places if one["topic"] == mine and one["epoch"] < grant.epoch)
    expect(set(opened) <= {(one["topic"], one["epoch"]) for one in since} and opened, f"its keys open {opened}", [file])
    expect(before, "nothing was there before the grant: that it does not open shows nothing", [file])
    early = [record["epoch"] for record in grant.watch.records() if record["epoch"] < grant.epoch]
    expect(not early and not grant.watch.alarms(), f"its own program shows epochs {early}, alarms {grant.watch.alarms()[:1]}", [file])
    return (f"it holds one reading key and not the home's secret; with it and the whole database {sum(one['opened'] for one in places)} records open, all of "
            f"{mine[:9]} of the bulb since the grant; of {before} before it, and of {sum(one['records'] for one in places) - before} others' beside, none"), [file]


@assertion("S4.3b")
def what_it_writes_is_never_confirmed(run):
    known, carrier = Known(run), run.adversary("adv-gateway").leaf("home-gateway")
    watch = run.wired.watches["home"]
    names = {member.hex(): name for name, member in known.members.items()}
    forged = [json.loads(line) for line in run.stack.run("keystead-stolen-keys", "--quiet", "forge", "--value", FORGED, "--state", kept_by_it(run)).stdout.splitlines()]
    # Under its own certificate no hop takes them (S4.2): somebody has to carry them who may.
    request = b"".join(field(1, bytes.fromhex(one["group"])) for one in forged)
    answer = Stranger(run.stack, carrier, "in-league", run.wired.place(GUEST)).call(run.wired.hops["backend"], "Transport/Publish", request)
    refused = [dict(parts).get(4) for message in answer.messages for number, value in fields(message) if number == 2 for parts in [fields(value)]]
    expect(answer.messages and not refused, f"the backend does not take them from the gateway: {answer.said} {refused}")
    of = {one["stream"]: names[one["as"]] for one in forged}
    expect(sorted(of.values()) == sorted(run.wired.products["home"].devices), f"it wrote as {sorted(of.values())}")

    def told():
        shown = {entry["stream"]: of[entry["stream"]] for entry in watch.records("readings") if entry["stream"] in of}
        alarmed = {entry["stream"]: of[entry["stream"]] for entry in watch.alarms() if entry.get("stream") in of and entry["kind"] == "open_failed"}
        return shown, alarmed
    run.within(lambda: {**told()[0], **told()[1]} == of, COMES, lambda: f"of {of} the phone shows {told()[0]} and was alarmed of {told()[1]}")
    run.a_word_later(watch, [GRANTED], of)
    shown, alarmed = told()
    file = run.keep("S4.3b.json", {"written": of, "shown": shown, "alarmed": alarmed})
    expect(list(shown.values()) == [GRANTED] and GRANTED not in alarmed.values(), f"shown are {shown}, refused {alarmed}", [file])
    confirmed = [entry for entry in watch.events.find("confirmed") if entry["stream"] in of]
    confirmed += [entry for entry in watch.records() if entry["stream"] in of and entry["confirmed"]]
    expect(not confirmed, f"confirmed although forged: {confirmed[:1]}", [file])
    live = [stream for stream, state in watch.latest_states().items() if stream in of and state["liveness"] == "live"]
    expect(not live, f"called live although forged: {live}", [file])
    return (f"of {len(of)} records that it wrote as {', '.join(sorted(of.values()))}, and the gateway carried, the phone shows the one as {GRANTED}, as pending, "
            f"never as confirmed or live; of {', '.join(sorted(alarmed.values()))} it was alarmed"), [file]


@assertion("S4.5")
def nothing_malformed_brings_anything_down(run):
    granted(run)
    known, stranger, told = Known(run), run.wired.strangers[STRANGER], {}
    good = subscription(known.tenant, known.instantiation, ["keyring"])
    drawn = random.Random(run.seed)
    whole = {"nothing": b"", "noise": drawn.randbytes(5000), "half of a request": good[:len(good) // 2], "deeply nested": nested(200),
             "a group that never ends": b"\x0b" * 400, "ten thousand topics": subscription(known.tenant, known.instantiation, ["telemetry/%032x" % number for number in range(10000)]),
             "more than a message may have": drawn.randbytes(5 << 20)}
    names = {"tenant": known.tenant, "instantiation": known.instantiation, "topic": known.topics[1], "epoch": known.epoch}
    calls = [(f"{call.service}/{call.name}", what, message) for call in interface().of_hops()
             for what, message in corpus.malformed(interface(), call, names).items()]
    ended = []
    for name in HOPS:
        for method in sorted(OF_MEMBERS):
            for what, message in whole.items():
                answer = stranger.call(run.wired.hops[name], method, message, seconds=2)
                told[f"{name} {method} {what}"] = as_told(answer)
        for (method, what, _), answer in zip(calls, stranger.call_all(run.wired.hops[name], [(method, message) for method, _, message in calls], seconds=1)):
            told[f"{name} {method} {what}"] = as_told(answer)
        ended += [f"{name} ended: {run.wired.process(name).tail()}"] if run.wired.process(name).ended() else []
    file = run.keep("S4.5.json", told)
    expect(not ended, "; ".join(ended), [file])
    # A mailbox that nobody has is waited at. The roster is for a guest, too, who asks for it by tenant and instantiation and may leave out all else.
    unclear = {where: answer for where, answer in told.items() if not where.endswith(GOOD_FETCHES) and
               (answer[0] is None and "Rendezvous/Await" not in where or answer[0] == 0 and answer[2] > MOST_OF_A_REFUSAL)}
    expect(not unclear, f"taken as if it were a request, or not answered: {list(unclear.items())[:3]}", [file])
    codes = collections.Counter(answer[0] for answer in told.values())
    expect(codes[INVALID_ARGUMENT] and codes[PERMISSION_DENIED], f"answered with {codes}: none was read", [file])
    taken = [where for where, answer in told.items() if "Transport/Publish" in where and answer[0] == 0 and not answer[3] and not where.endswith(" nothing")]
    expect(not taken, f"taken, or passed over in silence: {taken[:3]}", [file])
    often = {name: overdone(run, stranger, name) for name in HOPS}
    return (f"{len(told)} calls of {len(interface().of_hops())} methods, each spoilt in one field or as a whole, of which {len(OF_MEMBERS)} read what comes from a member: answered "
            f"with {dict(codes)}; of {OFTEN} calls one after the other {', '.join(f'{name} refused {count}' for name, count in often.items())} as too many, and served the owner "
            "afterwards"), [file]


def as_told(answer):
    """grpc-status, what it says, bytes of the answer, how many refusals are in it if it is Publish's."""
    return [answer.code, answer.said, len(b"".join(answer.messages)), sum(number == 2 for one in answer.messages for number, _ in fields(one))]


def overdone(run, stranger, name):
    """How many of OFTEN calls were too many, which a hop says and logs; the owner is served afterwards."""
    process, mark = run.wired.process(name), run.wired.process(name).log.mark()
    answers = stranger.call_all(run.wired.hops[name], [("Rendezvous/Put", field(1, os.urandom(16)) + field(2, b"knock"))] * OFTEN)
    codes = collections.Counter(answer.code for answer in answers)
    expect(set(codes) == {0, RESOURCE_EXHAUSTED}, f"{name} answers {OFTEN} calls with {codes}")
    said = process.log.find("security", lambda entry: entry["kind"] == "limit_exceeded" and entry["peer"] == stranger.leaf.spiffe, mark)
    expect(said, f"{name} says nothing of who asks too often")
    served = run.wired.apps[OWNER].call("raw", "--last", "1", "--wait", "3", hop=run.wired.hops[name], check=False)[0]
    expect([line for line in served if line["event"] == "held"], f"{name} does not serve the owner afterwards")
    return codes[RESOURCE_EXHAUSTED]


def nested(depth):
    """A message within a message, so often."""
    out = b""
    for _ in range(depth):
        size = len(out)
        length = b""
        while size > 0x7f:
            length += bytes([size & 0x7f | 0x80])
            size >>= 7
        out = b"\x0a" + length + bytes([size]) + out
    return out


@assertion("S4.4")
def taking_back_holds(run):
    grant, kept, known = granted(run), kept_by_it(run), Known(run)
    mine, stranger = f"telemetry/{known.members[GRANTED].hex()}", run.wired.strangers[STRANGER]
    mark = grant.watch.events.mark()
    grant.watch.wait_readings(GRANTED, 1, COMES, mark)  # the stream is open
    started = time.monotonic()
    grant.owner.call("remove", STRANGER, "--wait", "0")
    run.within(lambda: grant.watch.events.find("connection", lambda entry: not entry["connected"], mark), OUT_WITHIN, "its open stream goes on")
    took = time.monotonic() - started
    expect(took < OUT_WITHIN, f"its stream ended {took:.1f} s after the owner began to put it out")
    for name in HOPS:
        answer = stranger.call(run.wired.hops[name], "Transport/Subscribe", subscription(known.tenant, known.instantiation, [mine]), seconds=2)
        expect(not answer.messages and answer.code == NOT_FOUND, f"{name} still serves it: {answer}")
    epoch, late = grant.owner.status_epoch(), grant.watch.events.mark()
    run.new_readings(5)
    places = opened_by_it(run, kept)
    file = run.keep("S4.4.json", places)
    new = [one for one in places if one["topic"] == mine and one["epoch"] >= epoch]
    expect(sum(one["records"] for one in new) and not any(one["opened"] for one in new), f"of what came afterwards its kept keys open {new}", [file])
    expect(any(one["opened"] for one in places), "its kept keys open nothing at all: that shows nothing", [file])
    shown = grant.watch.records(start=late)
    expect(not shown, f"its own program shows {len(shown)} records that came later", [file])
    return (f"{took:.1f} s after the owner put it out its stream had ended and both hops serve it nothing; of {sum(one['records'] for one in new)} records since, "
            "which the host has as well, the keys that it kept open none"), [file]


@assertion("S4.6")
def a_copied_credential_is_useless(run):
    leaf = run.wired.strangers[STRANGER].leaf
    forger, told = Forger(run.stack, "copied"), []
    others = {"its own certificate and another's key": forger.with_another_key("copied", leaf), "one of its name, signed by nobody": forger.self_signed("self", leaf.spiffe)}
    for name in HOPS:
        hop = run.wired.hops[name]
        itself = s_client(hop.address, hop.roots, leaf)
        expect(itself.accepted, f"{name} does not even accept the app itself: {itself}")
        mark = hop.process.log.mark()
        for what, other in others.items():
            met = s_client(hop.address, hop.roots, other)
            expect(b"CertificateVerify" in met.output, f"a client with {what} did not come to show it: {met}")
            expect(not met.accepted, f"{name} accepts a client with {what}")
        refusals(run.stack).add(hop.process, None, mark, len(others))
        told.append(name)
    return f"{' and '.join(told)} accept {leaf.spiffe} with its own key, and neither {' nor '.join(others)}"


@assertion("S4.7")
def the_log_names_it(run):
    spiffe, owner = run.wired.strangers[STRANGER].leaf.spiffe, run.wired.apps[OWNER].leaf.spiffe
    counts = {}
    for name in HOPS:
        events = run.wired.process(name).log.find("security", lambda entry: entry["kind"] == "not_permitted")
        peers = [entry["peer"] for entry in events]
        counts[name] = peers.count(spiffe)
        expect(counts[name], f"the log of {name} has no word of {spiffe}: {sorted(set(peers))}")
        expect(owner not in peers, f"the log of {name} blames the owner")
    return f"refusals that name {spiffe}: {counts}; none names the owner's app"


@assertion("S4.8")
def as_the_only_way_it_would_need_a_column(run):
    value = copy.deepcopy(run.scenario.value)
    app = value["processes"][STRANGER]
    app.update(needed_beyond_basic=True, application_layer_access=True)
    path = pathlib.Path(run.stack.path("changed"), "S4.yaml")
    path.parent.mkdir()

    def load():
        path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return scenarios.load(path)
    try:
        load()
        expect(False, "a file with an app as the only way, and without a column for it, is accepted")
    except shapes.SchemaError as error:
        said = str(error)
    expect("boundary rule" in said and STRANGER in said, f"it is refused for another reason: {said}")
    app.update(in_product=True, component="APP3")
    changed = load()
    expect("APP3" in changed.columns, f"columns are {changed.columns}")
    column = [one["id"] for one in changed.runnable() if "APP3" in sum(one["outcomes"].values(), [])]
    expect(not column, f"{column} would show something of that column")
    verdicts, file = reported(run, changed)
    there = {cell[1] for cell in verdicts}
    wrong = {outcome: verdict for (outcome, column), verdict in verdicts.items() if column == "APP3" and verdict != "NOT_RUN"}
    expect("APP3" in there and not wrong, f"the report has columns {sorted(there)}, and of APP3 {wrong}", [file])
    asked = sum(column == "APP3" for _, column in verdicts)
    expect(any(verdict != "NOT_RUN" for (_, column), verdict in verdicts.items() if column != "APP3"), "the report shows nothing of the other columns either", [file])
    return (f"refused: {said.splitlines()[0].split(': ', 1)[1]}; then a report of this run's verdicts has columns {', '.join(sorted(there))}, and NOT_RUN in each of the "
            f"{asked} cells of APP3"), [file]


def reported(run, changed):
    """A report from what this run has shown by now, as if it were of another file and, where it is one on a mutant, of a real build: there is none of mutants
    alone, nor one of a real build with the control's programs. ({(outcome, column): verdict}, the page as evidence)."""
    recorded, out = run.recorded(), pathlib.Path(run.stack.path("changed-evidence"))
    programs = recorded.run["programs"]
    if recorded.run["mutant"]:
        programs = {program: hashlib.sha256(digest.encode()).hexdigest() for program, digest in programs.items()}
    writer = evidence.Writer(out, changed, {**{key: recorded.run[key] for key in ("build", "commit", "seed")}, "mutant": ""}, programs, recorded.run["control"])
    for name, entry in recorded.assertions().items():
        writer.record(changed.assertion(name), entry["verdict"], entry["observed"], entry["reason"])
    writer.end(True)
    page = pathlib.Path(run.stack.path("changed.html"))
    run.stack.run(sys.executable, "-B", ROOT / "tests/evidence-report/make_report.py", out, "--files", pathlib.Path(changed.path).parent, "--html", page)
    text = page.read_text(encoding="utf-8")
    cells = re.findall(r'data-cell="(\S+) (\S+)"><a [^>]*><span class="badge[^"]*" data-verdict="(\w+)"', text)
    return {(outcome, column): verdict for outcome, column, verdict in cells}, run.keep("S4.8.html", text)
