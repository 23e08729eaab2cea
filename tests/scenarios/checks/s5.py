"""S5: backends far away, at a third party and at the manufacturer, and a line in between that leads anywhere."""

import collections
import copy
import datetime
import functools
import os
import pathlib
import re
import shutil
import signal
import time

import product
from battle import fight_commands, the_owner_is_obeyed
from certificate import serial_of
from handshake import refuses
from harness import wait_until
from network import Capture
from outage import taken_between, utc
from product_keys import holds_nothing, keys_of
from provider_account import operator
from registry import assertion, expect
from scenario import LAYERS, outcomes
from sockets import has_none, peers
from stranger import PERMISSION_DENIED, Stranger, publication
from tls_client import Forger, s_client
from trap import Trap, nobody_spoke
from watched import fields

LINKS = ("p3-device", "p3-app")
COMES_BACK = 60  # seconds: whoever was refused several times waits for up to half of it
OUTAGE = 5  # seconds
UNANSWERED = 4  # seconds for which an answer is awaited that must not come
SMALLEST_RECORD = 40  # bytes: a tag of 16, and what names and numbers it


def iso(hours):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def wrong_servers(run):
    """Kind → what the one who sends P3's clients astray could show them."""
    wired = run.wired
    pki, others = wired.pki_at("p3-backend"), wired.pki_at("p2-backend")
    forger = Forger(run.stack, "forged-servers")
    ca = os.path.join(pki.tenants, wired.products["P3"].tenant, "ca")
    return {
        "another service of the provider": pki.provider_leaf("elsewhere"),
        "expired": pki.another_of_provider("expired-server", "--not-before", iso(-48), "--not-after", iso(-1)),
        "not yet valid": pki.another_of_provider("early-server", "--not-before", iso(24), "--not-after", iso(48)),
        "self-signed, with the backend's name": forger.self_signed("self", pki.backend.spiffe),
        "signed by the tenant, with the backend's name": forger.issued_by("by-tenant", pki.backend.spiffe, f"{ca}.pem", f"{ca}.key"),
        "the other provider's backend": others.backend,
        "another tenant's gateway": others.leaf(wired.products["P2"].tenant, "gateway", "astray", "--server"),
    }


@assertion("S5.1a")
def clients_refuse_wrong_servers(run):
    wired, isp = run.wired, run.adversary("adv-net").position("isp")
    backend = wired.hops["p3-backend"]
    shown = {**wrong_servers(run), "the backend itself": wired.pki_at("p3-backend").backend}
    with Trap(LINKS, wired.here) as trap:
        told = trap.meet_all(run, shown, isp, {door: backend.address for door in LINKS}, COMES_BACK)
    file = run.keep("S5.1a.json", told)
    nobody_spoke(told, "the backend itself", file)
    run.new_readings(patience=COMES_BACK)
    wrong = [kind for kind in told if kind != "the backend itself"]
    return f"device and app came to each of {len(wrong)} wrong servers ({', '.join(wrong)}) and said not one byte; to the right one both did", [file]


@assertion("S5.1b")
def clients_refuse_a_revoked_server(run):
    wired, isp = run.wired, run.adversary("adv-net").position("isp")
    owner, address = wired.products["P3"], wired.hops["p3-backend"].address
    leaf, denied = wired.pki_at("p3-backend").another_of_provider("revoked-server"), wired.denied_servers(owner)
    serial = serial_of(leaf.chain)
    with Trap(LINKS, wired.here) as trap:
        back = {door: address for door in LINKS}
        told = trap.meet_all(run, {"not yet revoked": leaf}, isp, back, COMES_BACK)
        run.new_readings(patience=COMES_BACK)
        denied.write_text(f"serial {serial}\n", encoding="ascii")
        told.update(trap.meet_all(run, {"revoked": leaf}, isp, back, COMES_BACK))
    file = run.keep("S5.1b.json", {"serial": serial, "told": told})
    nobody_spoke(told, "not yet revoked", file)
    run.new_readings(patience=COMES_BACK)
    return (f"before its serial stood in their list, device and app spoke to a server with the backend's name under certificate {serial}; "
            "afterwards neither said one byte to it, and both go on with the backend's other certificate"), [file]


@assertion("S5.1c")
def backends_refuse_strangers(run):
    wired, told = run.wired, []
    for number, (name, owner) in enumerate(wired.products.items()):
        pki, hop, rightful = wired.pki_at(owner.backend), wired.hops[owner.backend], owner.app.leaf
        other = next(one for one in wired.products.values() if one is not owner)
        strangers = {"no certificate": None,
                     "an expired one": pki.leaf(owner.tenant, "app", "lapsed", "--not-before", iso(-48), "--not-after", iso(-1)),
                     "a self-signed one": Forger(run.stack, f"forged-clients-{number}").self_signed("self", rightful.spiffe),
                     "the other provider's": other.app.leaf}
        refuses(run.stack, owner.backend, hop, rightful, strangers)
        told.append(f"{owner.backend} of {name} refused {', '.join(strangers)}")
    run.new_readings()
    return "; ".join(told)


@assertion("S5.1d")
def backends_know_whose_authority_signed(run):
    wired, owner, told = run.wired, run.wired.products["P2"], []
    pki, hop = wired.pki_at(owner.backend), wired.hops[owner.backend]
    forger, rival = Forger(run.stack, "forged-owners"), os.path.join(pki.tenants, wired.tenants["rival"])
    cross = forger.without_constraint("rivals-authority", rival, os.path.dirname(pki.admission))
    impostors = {"an authority of the tenant's name that is not registered": pki.second_authority(owner.tenant).leaf(owner.tenant, "app", owner.app.name),
                 "one that is registered for another tenant": forger.issued_by("owner", owner.app.leaf.spiffe, f"{rival}/ca.pem", f"{rival}/ca.key", [cross])}
    expect([line for line in owner.app.call("raw", "--wait", "2", hop=hop) if line["event"] == "held"], "the owner gets nothing either")
    for kind, leaf in impostors.items():
        accepted = s_client(hop.address, hop.roots, leaf)
        expect(accepted.accepted, f"TLS itself refuses {kind}: nothing above it is tried: {accepted}")
        thief = copy.copy(owner.app)
        thief.leaf = leaf
        mark = hop.process.log.mark()
        lines, asked = thief.call("raw", "--wait", "2", hop=hop, check=False)
        held = [line for line in lines if line["event"] == "held"]
        expect(asked.returncode != 0 and not held, f"{leaf.spiffe} of {kind} got {len(held)} records")
        hop.process.wait_for("security", lambda entry: entry["kind"] == "issuer_mismatch" and entry["peer"] == owner.app.leaf.spiffe, start=mark)
        told.append(kind)
    return f"with the name {owner.app.leaf.spiffe}, accepted by TLS, no record and an issuer_mismatch in the log: {'; '.join(told)}"


@assertion("S5.2a")
def the_host_holds_nothing(run):
    keys = keys_of(run)
    searched, _ = holds_nothing(run, "adv-host", run.adversary("adv-host").take_all(), keys, run.wired.apps["p2-phone"], ("p2-backend", "p2-front"))
    return f"{searched / 1e6:.0f} MB of the host's were searched for the text and {len(keys)} keys: none; with sealing off the text is there"


@assertion("S5.5")
def nobody_at_the_host_actuates(run):
    wired, owner, lock = run.wired, run.wired.products["P2"], run.wired.devices["p2-lock"].process.log
    mark, done, told = lock.mark(), len(lock.find("command_done")), owner.app.call("members")[0]
    members = {one["device"]: bytes.fromhex(one["member"]) for one in told["members"]}
    sender = next(bytes.fromhex(one["member"]) for one in told["members"] if one["self"])

    def order(leaf, name):
        request = publication(owner.tenant, bytes.fromhex(owner.instantiation), f"command/{members['p2-lock'].hex()}", sender, told["epoch"], os.urandom(16), os.urandom(200))
        return Stranger(run.stack, leaf, name).call(wired.hops["p2-backend"], "Transport/Publish", request)
    mine, theirs = order(owner.app.leaf, "owner-asks"), order(operator(wired, "p2-backend"), "operator-asks")
    refused = [value for message in mine.messages for number, value in fields(message) if number == 2]
    expect(mine.messages and not refused, f"the backend does not even take the owner's: {mine} {refused}")
    expect(theirs.code == PERMISSION_DENIED and not theirs.messages, f"given a command by its operator, the backend answers {theirs}")
    lock.wait_for("security", lambda entry: entry["kind"] == "open_failed", start=mark)  # the owner's was no command either: it is nobody's seal
    expect(len(lock.find("command_done")) == done, "the device did what nobody sealed")
    text, files = fight_commands(run, "S5.5", run.adversary("adv-host").position("p2-front"), "p2-app", "up", "P2", "p2-lock", "p2-backend")
    return f"the operator's certificate may publish nothing ({theirs.said}); {text}", files


@assertion("S5.6a")
def a_device_alone_calls_nobody(run):
    wired, lone, seen = run.wired, run.wired.alone["p1-bulb"], {}
    for level in (10, 20, 30, 40):
        lone.press(f"brightness {level}")
        lone.shown(lambda values, level=level: values["brightness"] == level, lone.display.mark())
        for name in (*wired.devices, *wired.apps):
            seen.setdefault(name, set()).update(peers(wired.process(name).popen.pid))
        expect(has_none(lone.process.popen.pid), "the device alone has a socket")
        run.new_readings(1)
    idle = [name for name, found in seen.items() if not found]
    expect(not idle, f"no connection of {', '.join(idle)} was seen either: the look sees nothing")
    counted = ""
    if wired.network:
        sent = {name: sum(wired.network.sent(name).values()) for name in ("p1-bulb", *wired.devices)}
        expect(not sent.pop("p1-bulb"), "a packet left the place of the device alone")
        expect(all(sent.values()), f"the kernel counts none of the others either: {sent}")
        counted = f"; no packet left its place since it began, of the other devices {sum(sent.values())} did"
    return f"four looks while its buttons were obeyed: not one socket; the same looks found {sum(map(len, seen.values()))} peers of the {len(seen)} others{counted}"


@assertion("S5.6b")
def nobody_calls_anybody_else(run):
    wired, seen = run.wired, {}
    capture = Capture(wired.network) if wired.network else None
    try:
        for _ in range(4):
            for name in (*wired.devices, *wired.apps):
                seen.setdefault(name, set()).update(peers(wired.process(name).popen.pid))
            run.new_readings(1)
    finally:
        if capture:
            capture.stop()
    wanted = {name: wired.next_hop(name).address for name in seen}
    on_the_wire = {name: collections.Counter(frame.to for frame in capture.of(name) if frame.to) for name in seen} if capture else {}
    file = run.keep("S5.6b.json", {"sockets": {name: sorted(map(list, found)) for name, found in seen.items()}, "frames": on_the_wire})
    astray = {name: found for name, found in on_the_wire.items() if set(found) != {wanted[name].split(":")[0]}}
    expect(not astray, f"frames to somebody else, or none at all: {astray}", [file])
    others = {name: sorted(address for _, address in found if address != wanted[name]) for name, found in seen.items()}
    strayed = {name: found for name, found in others.items() if found}
    expect(not strayed, f"connected to somebody else: {strayed}", [file])
    idle = [name for name, found in seen.items() if not found]
    expect(not idle, f"no connection of {', '.join(idle)} was seen: the look sees nothing", [file])
    frames = f"; {sum(map(sum, (found.values() for found in on_the_wire.values())))} frames of theirs were on the wire, all to it" if capture else ""
    return f"{len(seen)} devices and apps, four looks: each is connected to its declared next hop and to nobody else{frames}", [file]


@assertion("S5.7a")
def who_must_satisfy_what(run):
    scenario, rows = run.scenario, []
    technical = {name: entry for name, entry in outcomes().items() if "feature" not in entry}
    for name, process in scenario.processes.items():
        for outcome, entry in technical.items():
            if process.get("component") in entry["components"]:
                of = process.get("product") or next(one for one, entry in scenario.products.items() if entry["provider"] == name)
                rows.append({"product": of, "process": name, "component": process["component"], "outcome": outcome,
                             **{layer: [process["responsible"][layer], scenario.value["roles"][process["responsible"][layer]]["plays"]] for layer in LAYERS}})
    file = run.keep("S5.7a.json", rows)
    for of in scenario.products:
        found = {(row["component"], row["outcome"]) for row in rows if row["product"] == of}
        wanted = {(component, outcome) for outcome, entry in technical.items() for component in scenario.columns if component in entry["components"]}
        expect(found == wanted, f"{of}: nobody answers for {sorted(wanted - found)}", [file])
    where_host = {(row["product"], row["component"], layer) for row in rows for layer in LAYERS if row[layer][1] == "cloud provider"}
    expect(where_host == {("P2", "BE", "hardware"), ("P2", "BE", "platform")}, f"the host answers for {sorted(where_host)}", [file])
    return f"{len(rows)} rows; a host answers for hardware and platform of P2's backend only, of P3's its manufacturer does", [file]


@functools.cache
def outage(run):
    """P3's backend is killed and comes back where it was: (when it began, when it ended, where P3's watch stood)."""
    wired, watch = run.wired, run.wired.watches["P3"]
    backend, drip = wired.process("p3-backend"), wired.devices["p3-drip"].process
    run.within(lambda: (watch.events.last("connection")[1] or {}).get("connected"), COMES_BACK, "before the outage the app is not connected")
    mark, lost, said = watch.events.mark(), drip.log.mark(), watch.events.mark()
    product.pin_port(backend, "grpc")
    began, started = utc(), time.monotonic()
    backend.kill()
    try:
        run.within(lambda: watch.events.find("connection", lambda entry: not entry["connected"], said), COMES_BACK, "the app does not say that it is unreachable")
        run.within(lambda: drip.log.find("records_lost", None, lost), COMES_BACK, "the small journal does not come to its end")
        wait_until(lambda: time.monotonic() - started > OUTAGE, "the outage to last", OUTAGE + 1)
        ended = utc()
    finally:
        backend.relaunch()
    run.new_readings(patience=COMES_BACK)
    return began, ended, mark


@assertion("S5.4a")
def an_outage_loses_nothing(run):
    began, ended, mark = outage(run)
    watch = run.wired.watches["P3"]
    taken = taken_between(watch, "p3-meter", began, ended)
    expect(len(taken) >= 10, f"only {len(taken)} readings of the meter were taken in the outage and came")
    came = [reading["taken"] for record in watch.records("readings", "p3-meter") for reading in record["readings"]]
    expect(came == sorted(came), "readings came in another order than they were taken")
    twice = [place for place, times in watch.delivered().items() if times > 1]
    missing = [entry for entry in watch.events.find("missing", None, mark) if entry["device"] == "p3-meter"]
    expect(not twice and not missing, f"twice: {twice[:3]}; missing: {missing[:3]}")
    return f"the app said unreachable; {len(taken)} readings that the meter took meanwhile came afterwards, all {len(came)} of it in order and once"


@assertion("S5.4b")
def what_is_kept_is_bounded(run):
    began, ended, mark = outage(run)
    watch, bound = run.wired.watches["P3"], run.scenario.processes["p3-drip"]["journal_bytes"]

    def told():
        return watch.events.find("alarm", lambda entry: entry["kind"] == "loss_reported", mark)
    run.within(told, COMES_BACK, "the app is not told what was lost")
    run.within(lambda: watch.losses("p3-drip", mark), COMES_BACK, "the report names no record")
    run.within(lambda: not watch.unreported("p3-drip"), COMES_BACK, lambda: f"missing and in no report: {watch.unreported('p3-drip')}")
    losses = watch.losses("p3-drip", mark)
    lost = sum(last - first + 1 for _, first, last in losses)
    came = taken_between(watch, "p3-drip", began, ended)
    file = run.keep("S5.4b.json", {"losses": sorted(map(list, losses)), "came": [reading["taken"] for reading in came], "began": began,
                                   "ended": ended})
    expect(0 < len(came) <= bound // SMALLEST_RECORD, f"{len(came)} readings of the outage came of a journal of {bound} bytes", [file])
    return f"{len(came)} readings of the outage were kept in {bound} bytes; the device's signed report names {lost} lost records", [file]


@assertion("S5.4c")
def coming_back_is_no_way_around(run):
    outage(run)
    owner, hop = run.wired.products["P3"], run.wired.hops["p3-backend"]
    for what, leaf, options in (("TLS 1.2", owner.app.leaf, ("-tls1_2",)), ("no certificate", None, ("-tls1_3",))):
        expect(not s_client(hop.address, hop.roots, leaf, options).accepted, f"after the outage the backend accepts {what}")
    good = s_client(hop.address, hop.roots, owner.app.leaf)
    expect(good.accepted, f"the owner's certificate is refused after the outage: {good}")
    expect(good.tickets == 0, f"{good.tickets} tickets were issued: a session could be resumed")
    return "TLS 1.2 and no certificate are refused after the outage; the owner's is accepted without a session ticket"


def p2_machine(run):
    """The backend's process and its store, in the hands of its host."""
    machine = run.adversary("adv-host").machine("p2-backend")
    return machine.process, pathlib.Path(machine.store)


@functools.cache
def yesterdays_store(run):
    """P2's backend is stopped, its store copied by the host, and it goes on: the copy."""
    backend, store = p2_machine(run)
    product.pin_port(backend, "grpc")
    expect(backend.terminate() == 0, "the backend does not end by itself")
    copied = run.adversary("adv-host").take("p2-backend", "store") / store.name
    backend.relaunch()
    return copied


def put_back(older, store):
    shutil.rmtree(store)
    shutil.copytree(older, store)
    store.chmod(0o700)


@assertion("S5.3a")
def an_old_store_is_noticed(run):
    owner, watch = run.wired.products["P2"], run.wired.watches["P2"]
    backend, store = p2_machine(run)

    def reported(start):
        return {entry["stream"] for entry in watch.events.find("alarm", lambda entry: entry["kind"] == "provider_rolled_back", start)}

    def connected(start):
        return any(entry["connected"] for entry in watch.events.find("connection", None, start))
    mark = watch.events.mark()
    older = yesterdays_store(run)
    run.within(lambda: connected(mark), COMES_BACK, "the app does not come back after a restart")
    run.new_readings(3, COMES_BACK)
    expect(not reported(mark), f"after a restart with the store as it was the app reports a rollback of {reported(mark)}")
    asleep = [device.process.popen for device in owner.devices.values()]
    streams = {name: watch.records("readings", name)[-1]["stream"] for name in owner.devices}
    for process in asleep:
        process.send_signal(signal.SIGSTOP)
    try:
        mark = watch.events.mark()
        expect(backend.terminate() == 0, "the backend does not end by itself")
        put_back(older, store)
        backend.relaunch()
        run.within(lambda: set(streams.values()) <= reported(mark), COMES_BACK,
                   lambda: f"of the streams {streams} the app reports {reported(mark)} only")
    finally:
        for process in asleep:
            process.send_signal(signal.SIGCONT)
    run.new_readings(patience=COMES_BACK)
    return f"the app reports provider_rolled_back for the streams of {', '.join(streams)}; after a restart with the newest store nothing; then readings came again"


@assertion("S5.3c")
def an_old_store_that_grows_is_noticed(run):
    owner, watch = run.wired.products["P2"], run.wired.watches["P2"]
    (backend, store), older = p2_machine(run), yesterdays_store(run)
    streams, mark = {name: watch.records("readings", name)[-1]["stream"] for name in owner.devices}, watch.events.mark()
    expect(backend.terminate() == 0, "the backend does not end by itself")
    put_back(older, store)
    backend.relaunch()
    run.new_readings(3, COMES_BACK)

    def told():
        return {entry["stream"]: entry.get("kind", entry["event"]) for entry in watch.events.read()[mark:]
                if entry["event"] == "missing" or (entry["event"] == "alarm" and entry["kind"] in ("provider_rolled_back", "missing"))}
    run.within(lambda: set(streams.values()) <= set(told()), COMES_BACK, lambda: f"of the streams {streams} the app speaks of {told()} only")
    came, unnamed = watch.delivered(), {}
    for name, stream in streams.items():
        there = {sequence for of, sequence in came if of == stream}
        named = {sequence for first, last in watch.latest_states()[stream]["missing"] for sequence in range(first, last + 1)}
        unnamed[name] = sorted(set(range(max(there))) - there - named)
    file = run.keep("S5.3c.json", {"told": told(), "unnamed": unnamed})
    expect(not any(unnamed.values()), f"neither delivered nor named: {unnamed}", [file])
    return (f"{', '.join(f'of {name} the app says {told()[stream]}' for name, stream in streams.items())}; every record from the first to the newest "
            "was delivered or is named as missing"), [file]


def lead(front, address):
    """The host's balancer with another backend behind it: whom it shows what is the host's to choose."""
    for at, word in enumerate(front.process.command):
        if word.startswith("balancer="):
            front.process.command[at] = re.sub(r"address=[^,]+", f"address={address}", word)
    front.reboot()


@assertion("S5.3b")
def two_histories_are_noticed(run):
    wired, owner, watch = run.wired, run.wired.products["P2"], run.wired.watches["P2"]
    host, (backend, store) = run.adversary("adv-host"), p2_machine(run)
    front, lock = host.position("p2-front"), owner.devices["p2-lock"].process.log
    streams, before = {name: watch.records("readings", name)[-1]["stream"] for name in owner.devices}, watch.events.mark()
    product.pin_port(backend, "grpc")
    expect(backend.terminate() == 0, "the backend does not end by itself")
    copied = host.take("p2-backend", "store") / store.name
    keys = next(host.take("p2-backend", "keystore").iterdir())
    other = wired.another_backend("p2-backend", "p2-other-history", "--keystore", keys, data=copied)

    def live():
        return [name for name, stream in streams.items() if watch.latest_states()[stream]["liveness"] == "live"]
    heard = lock.mark()
    lead(front, other.address)
    try:
        backend.relaunch()
        run.within(lambda: not live(), COMES_BACK, lambda: f"{live()} are called live, although none of their devices answers")
        start, done = watch.events.mark(), len(lock.find("command_done"))
        told, _ = owner.app.call("send", "p2-lock", "on", "--force", "--timeout", UNANSWERED, check=False)
        expect(any(line.get("step") == "sent" for line in told), f"the command was not even sent: {told}")
        answers = [line["result"] for line in told if line["event"] == "answer"]
        during = [name for name in owner.devices if watch.records("readings", name, start)]
        expect(not answers and not live() and not during,
               f"in a history that no device knows of the app is answered {answers}, calls {live()} live and reads {during}")
    finally:
        lead(front, wired.hops["p2-backend"].address)
    run.within(lambda: len(live()) == len(streams), COMES_BACK, lambda: f"of {list(streams)} only {live()} are live again")
    run.new_readings(patience=COMES_BACK)
    expect(other.process.terminate() == 0, "the other backend does not end by itself")
    sequences = {name: [record["sequence"] for record in watch.records("readings", name, before) if record["stream"] == stream] for name, stream in streams.items()}
    file = run.keep("S5.3b.json", {"answers": answers, "sequences": {name: [found[0], found[-1], len(found)] for name, found in sequences.items()}})
    states = watch.latest_states()
    torn = [name for name, found in sequences.items() if states[streams[name]]["missing"] or found != sorted(set(found))]
    expect(not torn, f"of {torn} the app has not every record once and in order", [file])
    expect(len(lock.find("command_done")) == done, "what was commanded in the other history is done", [file])
    the_owner_is_obeyed(run, "P2", "p2-lock", [file])
    run.within(lambda: lock.find("security", lambda entry: entry["kind"] == "missing", heard), COMES_BACK,
               "the device does not miss what its owner said in the other history")
    return ("in a history of its own the app called nothing live and its command was not answered; led back it had every record once and in order, and "
            "the device misses what the owner had said there"), [file]
