"""S3b: a plant of 48 sensors, a base station and a console, and whoever is in its network."""

import collections
import datetime
import functools
import json
import os
import signal
import time

from battle import Battle, Fight, fight_out, judge
from certificate import serial_of
from console_session import Session
from handshake import refuses
from outage import taken_between, utc
from product import Pki
from product_keys import held_keys
from registry import assertion, expect
from scenario import GUEST
from stranger import Stranger, field, group, served
from tls_client import Forger, s_client
from watched import fields

PRODUCT = "plant"
FLOODS = "sensor-40"
OUTPUT = "sensor-47"  # has an output, which goes off when no hop is reached
NOT_POSSIBLE = {"sensor-45", "sensor-46"}  # genuine ones that say what was not declared possible
STOLEN = ("sensor-41", "sensor-42", "sensor-43", "sensor-44")
CURVE = (0, 1, 4)
IDLE = 3  # seconds for which nobody uses a console, until it ends
FORGED = 4711.0
OUTAGE = 60  # seconds: for the console a probe's answer counts for 9
OUT_WITHIN = 2.0  # seconds from a revocation until who is revoked is out
SHOWN_WITHIN = 2.0  # seconds from when a reading was taken until the console shows it, flood or not
COMES_BACK = 60  # seconds
MEASURED = 3  # seconds, for each look at latencies
OVER_AND_OVER = [("replay", None), ("duplicate", None), ("delay", None), ("reorder", None)] * 2


def plant(run):
    return run.wired.products[PRODUCT]


def members(run):
    """Device id → member id in hex, of the sensors."""
    return {one["device"]: one["member"] for one in plant(run).app.call("members")[0]["members"] if one["device"] in plant(run).devices}


@assertion("S3b.1a")
def outsiders_are_not_admitted(run):
    wired, owner = run.wired, plant(run)
    base, genuine = owner.gateway, owner.devices["sensor-01"].leaf
    foreign = wired.tenants["globex"]
    strangers = {"no certificate": None, "a self-signed one": Forger(run.stack, "forged-sensors").self_signed("self", genuine.spiffe),
                 "another tenant's": wired.pki_of(owner.tenant).leaf(foreign, "device", "sensor-01"),
                 "another provider's": Pki(run.stack, [owner.tenant], "pki-of-strangers").leaf(owner.tenant, "device", "sensor-01")}
    refuses(run.stack, "the base station", base, genuine, strangers)
    return f"refused in the handshake: {', '.join(strangers)}"


def publish(run, leaf, name, groups, alone=True):
    """Publishes groups at the base station; index → why, of those that it did not take. `alone`: as Stranger's."""
    stranger = Stranger(run.stack, leaf, name, run.wired.place(GUEST), alone)
    answer = stranger.call(plant(run).gateway, "Transport/Publish", b"".join(field(1, group) for group in groups))
    said = [(number, value) for message in answer.messages for number, value in fields(message)]
    if not any(number == 1 and value for number, value in said):  # nothing is durable there
        return {at: answer.said for at in range(len(groups))}
    refusals = [dict(fields(value)) for number, value in said if number == 2]
    return {one.get(2, 0): one[4].decode() for one in refusals}


def forge(run, states, value=FORGED):
    """What holders of these states write as every sensor; a dictionary for each record."""
    if not states:
        return []
    words = [word for state in states for word in ("--state", state)]
    answer = run.stack.run("keystead-stolen-keys", "--quiet", "forge", "--value", value, *words)
    return [json.loads(line) for line in answer.stdout.splitlines()]


@functools.cache
def stolen_states(run):
    """Sensor → its state's folder, as adv-sensor-k copied it."""
    adversary, found = run.adversary("adv-sensor-k"), {}
    for name in STOLEN:
        found[name] = next(path for path in adversary.take(name, "store").iterdir() if path.is_dir())
    return found


@functools.cache
def counted_before(run):
    """What the service had counted as refused or missing before anybody forged anything."""
    return run.wired.apps["averager"].watching.events.last("mean")[1]["alarms"]


@assertion("S3b.1b")
def nobody_writes_who_was_not_joined(run):
    owner, wired = plant(run), run.wired
    counted_before(run)
    rogue = wired.pki_of(owner.tenant).leaf(owner.tenant, "device", "rogue")
    expect(s_client(owner.gateway.address, owner.gateway.roots, rogue).accepted, "TLS itself refuses it: nothing above it is tried")
    # Whoever was not joined has no keys. What it writes are records as well made as a thief's, so that nothing but the roster refuses them.
    forged = forge(run, [stolen_states(run)[STOLEN[0]]])
    groups = [bytes.fromhex(one["group"]) for one in forged]
    refused = publish(run, rogue, "rogue", groups)
    expect(len(refused) == len(groups), f"of {len(groups)} groups of {rogue.spiffe} the base station refused {len(refused)}")
    events = owner.gateway.process.log.find("security", lambda entry: entry["kind"] == "not_permitted" and entry["peer"] == rogue.spiffe)
    expect(events, "the base station's log has no word of it")
    run.new_readings(1)
    shown = {(entry["device"], entry["sender"]) for entry in owner.watch.records("readings")}
    expect(shown == set(members(run).items()), f"shown are {sorted(shown ^ set(members(run).items()))} other than the 48")
    streams = {one["stream"] for one in forged}
    taken = [entry for entry in owner.watch.records() if entry["stream"] in streams]
    expect(not taken, f"the console shows {len(taken)} records of it")
    counted = len(events)
    return f"{len(refused)} of {len(groups)} refused, {counted} lines name {rogue.spiffe}: {next(iter(refused.values()))}; shown are {len(shown)} sensors"


def live(watch):
    return {state["device"] for state in watch.latest_states().values()
            if state["topic"].startswith("telemetry/") and state["liveness"] == "live"}


class Outage:
    """The plant's network parts until the console calls nothing live any more, and heals."""

    def __init__(self, run):
        self.watch, net = plant(run).watch, run.adversary("adv-plant-net").position("plant-net").process
        self.sensors = set(plant(run).devices)
        run.within(lambda: live(self.watch) == self.sensors, 60, lambda: f"not live before: {sorted(self.sensors - live(self.watch))}")
        self.switched_on = switch_on(run)
        self.session = None
        self.mark, self.output_mark = self.watch.events.mark(), plant(run).devices[OUTPUT].process.log.mark()
        net.popen.send_signal(signal.SIGSTOP)  # what comes is swallowed; no connection is closed
        try:
            self.began, started = utc(), time.monotonic()
            self.session = Session(run, "operator", IDLE)  # meanwhile: the operator's way is another
            run.within(lambda: not live(self.watch), OUTAGE, lambda: f"still called live: {sorted(live(self.watch))}")
            self.dead_after, self.ended = time.monotonic() - started, utc()
        finally:
            net.popen.send_signal(signal.SIGCONT)


def switch_on(run):
    """The maintainer switches the output on; what the sensor answers."""
    return next(line["result"] for line in plant(run).app.send(OUTPUT, "on") if line["event"] == "answer")


def output(run):
    """Whether the console shows it as on."""
    newest = plant(run).watch.records("readings", OUTPUT)[-1]["readings"]
    return next(reading["value"] for reading in newest if reading["channel"] == "on") == 1


@functools.cache
def outage(run):
    return Outage(run)


@assertion("S3b.3b")
def nothing_old_is_shown_as_live(run):
    parted, owner = outage(run), plant(run)
    run.within(lambda: live(owner.watch) == parted.sensors, 60, lambda: f"not live again: {sorted(parted.sensors - live(owner.watch))}")
    states = owner.watch.latest_states()
    records = owner.watch.records("readings")
    # Streams of earlier keys were read to their ends before the console's first word on any: they are history.
    newest = max(entry["epoch"] for entry in records)
    nameless = [entry for entry in records if entry["device"] not in parted.sensors or
                (entry["epoch"] == newest and entry["stream"] not in states) or not all(reading["taken"] for reading in entry["readings"])]
    expect(not nameless, f"without source, age or word of its stream: {nameless[:2]}")
    return (f"{parted.dead_after:.0f} s after the network parted no sensor was called live, then all {len(parted.sensors)} again; "
            f"{len(records)} shown records name source and time")


@assertion("S3b.5")
def nothing_is_lost_doubled_or_disordered(run):
    parted, owner = outage(run), plant(run)
    watch = owner.watch
    for device in sorted(parted.sensors):
        run.within(lambda device=device: len(taken_between(watch, device, parted.began, parted.ended)) >= parted.dead_after / 2, 40,
                   lambda device=device: f"of {device} {len(taken_between(watch, device, parted.began, parted.ended))} readings of the outage came")
    run.new_readings(1)
    streams = collections.defaultdict(list)
    for entry in watch.events.find("record"):
        if entry["device"] in parted.sensors and entry["topic"].startswith("telemetry/"):
            streams[entry["stream"]].append(entry["sequence"])
    wrong = [stream for stream, sequences in streams.items() if sequences != list(range(sequences[0], sequences[0] + len(sequences)))]
    expect(not wrong, f"with a gap, a repetition or out of order: {[(stream, streams[stream]) for stream in wrong[:2]]}")
    missing = watch.events.find("missing", lambda entry: entry["device"] in parted.sensors, parted.mark)
    losses = [entry for entry in watch.records("loss") if entry["device"] in parted.sensors]
    expect(not missing and not losses, f"called missing: {missing[:2]}; given up by their senders: {losses[:2]}")
    came = sum(len(taken_between(watch, device, parted.began, parted.ended)) for device in parted.sensors)
    return (f"{came} readings of {parted.dead_after:.0f} s came from all {len(parted.sensors)}; {len(streams)} streams without a gap, "
            "each record once and in order")


class Arrivals:
    """For some seconds, of all sensors but one: how old the newest reading of each record is when it comes to be shown; and how much
    came of that one."""

    def __init__(self, process, but, seconds):
        self.latencies, self.others = collections.defaultdict(list), 0
        self.bytes_of_but, skip = 0, but.encode()
        with open(process.output, "rb") as file:
            file.seek(0, os.SEEK_END)
            rest, until = b"", time.monotonic() + seconds
            while time.monotonic() < until:
                data = file.read(1 << 20)
                if not data:
                    time.sleep(0.002)  # a look at a growing file; nothing is waited for but the end of the measurement
                    continue
                now = time.time()
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if skip in line:
                        self.bytes_of_but += len(line)
                    elif b'"kind":"readings"' in line:
                        self.take(json.loads(line), now, len(line))

    def take(self, entry, now, size):
        self.others += size
        taken = datetime.datetime.fromisoformat(max(reading["taken"] for reading in entry["readings"])).timestamp()
        self.latencies[entry["device"]].append(max(0.0, now - taken))

    def percentile(self, part):
        ordered = sorted(value for values in self.latencies.values() for value in values)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


@assertion("S3b.4a")
def a_flood_does_not_take_the_others_place(run):
    owner = plant(run)
    watch, member, others = owner.watch, members(run)[FLOODS], set(owner.devices) - {FLOODS}
    quiet = Arrivals(watch.process, member, MEASURED)
    device = run.adversary("adv-flood").machine(FLOODS).process
    command = list(device.command)
    device.terminate(30)
    device.command = command + ["--batch", "4", "--burst", "16", "--window-bytes", "65536"]
    restarted, mark = device.log.mark(), watch.events.mark()
    device.relaunch()
    try:
        device.wait_for("connected", start=restarted)
        watch.wait_readings(FLOODS, 200, 20, mark)
        flooded = Arrivals(watch.process, member, MEASURED)
    finally:
        device.terminate(30)
        device.command = command
        device.relaunch()
    told = {name: {"p50_ms": round(1000 * one.percentile(0.5), 1), "p99_ms": round(1000 * one.percentile(0.99), 1),
                   "records": sum(map(len, one.latencies.values())), "sensors": len(one.latencies), "bytes_of_one": one.bytes_of_but,
                   "bytes_of_the_others": one.others} for name, one in (("quiet", quiet), ("flooded", flooded))}
    ratio = told["flooded"]["p99_ms"] / told["quiet"]["p99_ms"]
    file = run.keep("S3b.4a.json", {**told, "ratio_of_p99": round(ratio, 2)})
    expect(flooded.bytes_of_but > 20 * flooded.others, f"no flood: {told}", [file])
    silent = sorted(others - set(flooded.latencies))
    expect(not silent, f"nothing was shown of {', '.join(silent)}", [file])
    expect(flooded.percentile(0.99) < SHOWN_WITHIN, f"99 of 100 of the others' records within {told['flooded']['p99_ms']} ms", [file])
    run.new_readings(1)
    return (f"p99 of the other {len(others)}: {told['quiet']['p99_ms']} ms before, {told['flooded']['p99_ms']} ms beside the flood, ratio {ratio:.1f}; "
            f"the one sent {flooded.bytes_of_but / max(1, flooded.others):.0f} times as much as all others"), [file]


@assertion("S3b.4b")
def the_flood_is_logged(run):
    owner = plant(run)
    told = owner.gateway.process.log.find("device_sends_much")
    file = run.keep("S3b.4b.json", told)
    expect({entry["peer"] for entry in told} == {owner.devices[FLOODS].leaf.spiffe}, f"the log names {sorted({entry['peer'] for entry in told})}", [file])
    return f"{len(told)} lines of the base station's log: {told[0]['peer']} sent {told[0]['bytes']} bytes in {told[0]['milliseconds']} ms; nobody else is named", [file]


@assertion("S3b.7")
def an_output_is_safe_without_the_base_station(run):
    parted, log = outage(run), plant(run).devices[OUTPUT].process.log
    after = run.scenario.processes[OUTPUT]["safe"]["after"]
    expect(parted.switched_on == "done", f"before, the maintainer's command to switch it on was answered {parted.switched_on}")
    told = log.find("safe_output", None, parted.output_mark)
    expect(len(told) == 1, f"it went to its safe output {len(told)} times")
    expect(told[0]["milliseconds"] <= 1000 * (after + 3), f"only {told[0]['milliseconds']} ms after the last word of a hop")
    run.within(lambda: not output(run), COMES_BACK, "the console does not show that it is off")
    run.new_readings(1)
    expect(not output(run), "it is on again, although nobody said so")
    again = switch_on(run)
    expect(again == "done", f"the maintainer's next command is answered {again}")
    run.within(lambda: output(run), COMES_BACK, "the console does not show that it is on")
    return (f"on before; {told[0]['milliseconds'] / 1000:.1f} s after the last acknowledgement it did {told[0]['operation']} by itself; afterwards it was off until the "
            "maintainer switched it on")


@assertion("S3b.3a")
def what_comes_again_is_taken_once(run):
    battle, switch = Battle(run), run.adversary("adv-plant-net").position("switch")
    fights = [Fight(battle, switch, "line-b", "up", "telemetry/", OVER_AND_OVER, "base-station"),
              Fight(battle, switch, "console", "down", "telemetry/", OVER_AND_OVER)]
    for fight in fights:  # in turns: a record that is repeated twice would ring one alarm
        fight_out(run, [fight])
    text, file = judge(run, "S3b.3a", fights)
    return text, [file]


def shown_of(run, forged):
    """(streams of these records that the console shows, those of which it was alarmed)."""
    streams, watch = {one["stream"] for one in forged}, plant(run).watch
    return ({entry["stream"] for entry in watch.records("readings") if entry["stream"] in streams},
            {entry["stream"] for entry in watch.alarms() if entry.get("stream") in streams and entry["kind"] == "open_failed"})


@assertion("S3b.2a")
def k_stolen_forge_k(run):
    states, names = stolen_states(run), {member: name for name, member in members(run).items()}
    carrier, curve, everything = run.adversary("adv-sensor-k").leaf("switch"), [], []
    for count in CURVE:
        forged = forge(run, [states[name] for name in STOLEN[:count]])
        if forged:
            refused = publish(run, carrier, f"carried-{count}", [bytes.fromhex(one["group"]) for one in forged])
            expect(not refused, f"the base station does not take it from the carrier: {refused}")
        everything += forged
        run.within(lambda forged=forged: set().union(*shown_of(run, forged)) == {one["stream"] for one in forged}, 20,
                   lambda forged=forged: f"of {len(forged)} forged records {len(set().union(*shown_of(run, forged)))} were answered")
        shown, alarmed = shown_of(run, forged)
        victims = sorted({names[one["as"]] for one in forged if one["stream"] in shown})
        curve.append({"k": count, "written": len(forged), "shown": victims, "alarms": len(alarmed)})
        file = run.keep("S3b.2a.json", curve)
        expect(victims == sorted(STOLEN[:count]), f"with {count} stolen, readings of {', '.join(victims)} were forged", [file])
        expect(len(shown) == count and not shown & alarmed, f"with {count} stolen, {len(shown)} records were shown", [file])
    streams = {one["stream"] for one in everything}
    run.a_word_later(plant(run).watch, STOLEN, streams)
    confirmed = [entry for entry in plant(run).watch.events.find("confirmed") if entry["stream"] in streams]
    confirmed += [entry for entry in plant(run).watch.records() if entry["stream"] in streams and entry["confirmed"]]
    expect(not confirmed, f"confirmed although forged: {confirmed[:2]}", [file])
    return "; ".join(f"k = {one['k']}: {one['written']} written, {len(one['shown'])} shown as pending, {one['alarms']} alarms" for one in curve), [file]


@assertion("S3b.2b")
def a_stolen_certificate_writes_its_own_topic(run):
    adversary, told, of = run.adversary("adv-sensor-k"), {}, members(run)
    for name in STOLEN:
        forged = forge(run, [stolen_states(run)[name]])
        refused = publish(run, adversary.leaf(name), f"as-{name}", [bytes.fromhex(one["group"]) for one in forged])
        told[name] = sorted(one["as"] for at, one in enumerate(forged) if at not in refused)
    file = run.keep("S3b.2b.json", told)
    wrong = {name: len(taken) for name, taken in told.items() if taken != [of[name]]}
    expect(not wrong, f"taken by certificate: {wrong}; wanted of each its own alone", [file])
    run.new_readings(1)
    return f"of {len(of)} topics each of {', '.join(told)} wrote its own, and was refused {len(of) - 1}", [file]


def revoke(run, line):
    """The maintainer's security officer signs it and brings it to the plant's server."""
    owner, hop = plant(run), run.wired.hops["plant-server"]
    pki = run.wired.pki_of(owner.tenant)
    file, admin = pki.revoke(owner.tenant, line), pki.leaf(owner.tenant, "admin", "security")
    run.stack.run("keystead-revoke", "--file", file, "--next-hop", hop.address, "--next-hop-id", hop.spiffe, *admin.options(hop.roots), "--quiet")


@assertion("S3b.2c")
def one_is_revoked_and_the_rest_go_on(run):
    owner, gone = plant(run), STOLEN[0]
    marks = {name: device.process.log.mark() for name, device in owner.devices.items()}
    streams = {name: owner.watch.records("readings", name)[-1]["stream"] for name in owner.devices}
    started = time.monotonic()
    revoke(run, f"name device/{gone}")
    run.within(lambda: owner.devices[gone].process.log.find("disconnected", start=marks[gone]), OUT_WITHIN, f"{gone} is not out")
    took = time.monotonic() - started
    forged = forge(run, [stolen_states(run)[gone]])
    refused = publish(run, run.adversary("adv-sensor-k").leaf(gone), "revoked", [bytes.fromhex(one["group"]) for one in forged], alone=False)
    expect(len(refused) == len(forged), f"of {len(forged)} groups of {gone}'s thief {len(refused)} were refused")
    run.silent.add(gone)
    run.new_readings(1, without=run.silent)
    others = [name for name in owner.devices if name != gone]
    cut = [name for name in others if owner.devices[name].process.log.find("disconnected", start=marks[name])]
    moved = [name for name in others if owner.watch.records("readings", name)[-1]["stream"] != streams[name] and name not in STOLEN]
    expect(not cut and not moved, f"cut off as well: {cut}; in another stream: {moved}")
    expect(not owner.devices[gone].process.log.find("connected", start=marks[gone]), f"{gone} came back")
    return f"{took:.1f} s after the revocation was on its way {gone} was out; the other {len(others)} went on over the same connections in the same streams"


def refusals_of(run, spiffe, start):
    return plant(run).gateway.process.log.find("security", lambda entry: entry["kind"] == "peer_refused" and entry["peer"] == spiffe, start)


@assertion("S3b.1c")
def the_mean_is_of_authenticated_sensors(run):
    owner, averager = plant(run), run.wired.apps["averager"]
    measured = {f"telemetry/{member}" for member in members(run).values()}
    secret, topics, senders = held_keys(averager)
    expect(not secret and senders <= measured and set(topics) == measured, f"the service has a secret: {bool(secret)}; keys of {sorted(set(topics) ^ measured)}, {senders}")
    thermometers = sum(run.scenario.processes[name]["kind"] == "temperature" for name in owner.devices)

    def means():
        return averager.watching.events.find("mean", lambda entry: entry["channel"] == "temperature")
    run.within(lambda: any(entry["members"] == thermometers for entry in means()), COMES_BACK, lambda: f"the newest mean is {means()[-1:]}")
    found = means()
    alarms = averager.watching.events.last("mean")[1]["alarms"] - counted_before(run)
    file = run.keep("S3b.1c.json", found)
    wrong = [entry for entry in found if not entry["mean"] < FORGED / thermometers or entry["members"] > thermometers]
    expect(not wrong, f"a forged reading is in a mean: {wrong[:1]}", [file])
    expect(alarms > 0, "of the forged readings the service has counted none", [file])
    return (f"{len(topics)} reading keys and no other; {len(found)} means from {min(entry['mean'] for entry in found):.1f} to "
            f"{max(entry['mean'] for entry in found):.1f}, of up to {thermometers} members; {alarms} refused since somebody forged are counted beside them"), [file]


@assertion("S3b.8")
def the_impossible_is_named_and_left_out(run):
    owner, averager = plant(run), run.wired.apps["averager"]

    def means():
        return averager.watching.events.find("mean", lambda entry: entry["channel"] == "temperature")
    run.within(lambda: set(means()[-1]["implausible"]) == NOT_POSSIBLE, COMES_BACK, lambda: f"named are {means()[-1]['implausible']}")
    file = run.keep("S3b.8.json", means()[-20:])
    said = {name: owner.watch.records("readings", name)[-1]["readings"][0] for name in NOT_POSSIBLE}
    expect(all(reading["quality"] == "good" for reading in said.values()), f"they doubt it themselves: {said}", [file])
    expect(all(entry["mean"] < 100 for entry in means()), f"one is in a mean: {max(entry['mean'] for entry in means())}", [file])
    texts = [f"{name}: {reading['value']} {reading['unit']}" for name, reading in sorted(said.items())]
    return f"declared is {run.scenario.processes['averager']['averages'][0]}; named beside the mean {means()[-1]['mean']:.1f} Cel and not in it: {'; '.join(texts)}", [file]


@assertion("S3b.6a")
def an_operator_sees_and_changes_nothing(run):
    owner, operator = plant(run), run.wired.apps["operator"]
    known = members(run)
    done = {name: len(device.process.log.find("command_done")) for name, device in owner.devices.items()}
    run.within(lambda: {entry["device"] for entry in operator.watching.records("readings")} == set(known), COMES_BACK, "the operator does not see every sensor")
    told = []
    label = owner.devices["sensor-01"].label
    for words in (("send", "sensor-01", "on", "--force"), ("remove", "sensor-01"), ("add-courier", f"spiffe://{owner.tenant}/gateway/other"),
                  ("pair", "--label-file", label, "--recovery-out", run.stack.path("never"))):
        _, result = operator.call(*words, check=False)
        expect(result.returncode != 0 and "guest" in result.stderr, f"{words[0]}: {result.returncode}, {result.stderr.strip()}")
        told.append(words[0])
    secret, topics, senders = held_keys(operator)
    others = [topic for topic in {*topics, *senders} if not topic.startswith("telemetry/")]
    expect(not secret and not others, f"it has a secret: {bool(secret)}; keys of {others}")
    own = next(member["member"] for member in owner.app.call("members")[0]["members"] if member["transport"] == operator.leaf.spiffe)
    epoch = owner.app.call("members")[0]["epoch"]
    groups = [group(owner.tenant, bytes.fromhex(owner.instantiation), f"command/{member}", bytes.fromhex(own), epoch, os.urandom(16), os.urandom(200))
              for member in known.values()]
    refused = publish(run, operator.leaf, "as-operator", groups)
    expect(len(refused) == len(groups), f"of {len(groups)} commands of the operator the base station refused {len(refused)}")
    run.new_readings(1, without=run.silent)
    moved = [name for name, device in owner.devices.items() if len(device.process.log.find("command_done")) != done[name]]
    expect(not moved, f"{', '.join(moved)} did something")
    return (f"it shows {len(known)} sensors; its program refuses {', '.join(told)}; of {len(groups)} commands under its certificate the base station "
            f"took none, and no sensor did anything: {next(iter(refused.values()))}; it holds {len(topics)} reading keys")


@assertion("S3b.6c")
def a_session_that_nobody_uses_ends(run):
    session = outage(run).session
    expect(set(session.used) == {(200, 200)}, f"while it was used it answered {sorted(set(session.used))}")
    expect(session.looked and session.looked[0] == 200, "it could not even be looked at when it was left")
    expect(session.process.ended(), f"{session.after:.0f} s after it was left it still answers")
    expect(session.process.popen.returncode == 0, f"it ended with {session.process.popen.returncode}")
    expect(session.ask("GET", "/api/v1/home") == 0, "its token still opens something")
    expect(session.process.log.find("session_ended"), "it does not say why it ended")
    return (f"used for {1.5 * IDLE:.0f} s, with a time-out of {IDLE} s, it answered {len(session.used)} times; left, and looked at {len(session.looked)} times, it ended "
            f"{session.after:.1f} s later by itself")


@assertion("S3b.6b")
def a_stolen_console_is_locked_out(run):
    owner, thief = plant(run), run.adversary("adv-stolen-console").leaf("console")
    base = owner.gateway
    before, said = served(run.stack, owner, thief, base, seconds=1, alone=False)
    expect(before, f"the copy is not served before, and the refusal proves nothing: {said}")
    serial = serial_of(thief.chain)
    run.wired.pki_of(owner.tenant).renew(owner.tenant, "app", owner.app.name)
    expect(serial_of(owner.app.leaf.chain) != serial, "the maintainer has the certificate that is to be revoked")
    known, mark, started = len(base.process.log.find("revocations")), base.process.log.mark(), time.monotonic()
    revoke(run, f"serial {serial}")
    run.within(lambda: len(base.process.log.find("revocations")) > known, OUT_WITHIN, "the base station has not heard of it")
    took = time.monotonic() - started
    after, told = served(run.stack, owner, thief, base, seconds=1, alone=False)
    expect(not after, f"the copy is served {after} messages after the revocation")
    expect(refusals_of(run, owner.app.leaf.spiffe, mark), f"the base station's log has no word of the refusal: {told}")
    run.new_readings(1, without=run.silent)
    renewed, why = served(run.stack, owner, owner.app.leaf, base, seconds=1)
    expect(renewed, f"the maintainer is not served with its new certificate: {why}")
    return f"served before; {took:.1f} s after certificate {serial} was revoked refused: {told}; the maintainer is served with another one"
