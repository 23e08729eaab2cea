"""C1: whoever holds valid transport credentials on a hop still reads nothing and changes nothing unnoticed."""

import base64
import time

from battle import Battle, Fight, fight_in_waves, judge, the_owner_is_obeyed
from demo_attacks import Injection
from demo_cose import held_under_keys, repetitions
from harness import Failure, wait_until
from home import App
from newcomers import cloned, meddled_with, photographed
from registry import assertion, expect
from scenario import GUEST
from watched import fields

CLASSES = ("read", "modify", "replay", "reorder", "splice")
WAYS = [("read", None), ("modify", "topic"), ("modify", "stream"), ("modify", "cose_partial_iv"), ("modify", "cose_ciphertext"),
        ("modify", "cose_tag"), ("reorder", None), ("duplicate", None), ("replay", None), ("splice", "instantiation"), ("splice", "stream"),
        ("splice", "sequence")]
HOPS = {"device-gateway": ("adv-lan", "lan-balancers", "acme-device-gateway", "up", "acme-gateway"),
        "gateway-backend": ("adv-wan", "wan-balancers", "gateway-backend", "up", "backend"),
        "backend-app": ("adv-wan", "wan-balancers", "backend-app", "down", "backend")}


def control(wired):
    """With sealing off: what the equipment reads, and whether the app takes records whose tag was changed."""
    read = {name: [sighting["form"] for sighting in box.seen(1).get("sightings", [])] for name, box in wired.equipment.items()}
    taken = {}
    for hop, (_, box, listener, direction, _) in HOPS.items():
        infra = wired.equipment[box]
        [number] = infra.plan([{"kind": "modify", "target": "cose_tag", "listener": listener, "direction": direction, "topic": "telemetry/"}])
        infra.wait_spent([number], 20)
        places = [Injection(hop, "balancer", raw).genuine for raw in infra.injections(number)]

        def delivered(places=places):
            got = {}
            for watch in wired.watches.values():
                got |= watch.delivered()
            return places and all(got.get(place) for place in places)
        try:
            wait_until(delivered, "the changed record", 15)
            taken[hop] = len(places)
        except Failure:
            taken[hop] = 0
    return {"read": read, "taken": taken}


def cells(fights):
    """Attack class → verdict → how many."""
    table = {}
    for fight in fights:
        for kind, verdicts in fight.verdicts().items():
            name = "replay" if kind == "duplicate" else kind
            for verdict, count in verdicts.items():
                cell = table.setdefault(name, {})
                cell[verdict] = cell.get(verdict, 0) + count
    return table


def fight_on(run, name, make, commands=None):
    fights = fight_in_waves(run, WAYS, make, commands)
    text, file = judge(run, name, fights)
    table = cells(fights)
    expect(all(table.get(kind) for kind in CLASSES), f"not every kind of attack was made: {table}", [file])
    return "; ".join([text, *(f"{kind}: {sum(table[kind].values())}" for kind in CLASSES)]), [file]


def fight_readings(run, name, hop):
    adversary, box, listener, direction, next_hop = HOPS[hop]
    battle, equipment = Battle(run), run.adversary(adversary).position(box)
    return fight_on(run, name, lambda ways: Fight(battle, equipment, listener, direction, "telemetry/", ways, next_hop))


@assertion("C1.1a")
def between_device_and_gateway(run):
    return fight_readings(run, "C1.1a", "device-gateway")


@assertion("C1.1b")
def between_gateway_and_backend(run):
    return fight_readings(run, "C1.1b", "gateway-backend")


@assertion("C1.1c")
def between_backend_and_app(run):
    return fight_readings(run, "C1.1c", "backend-app")


@assertion("C1.1d")
def commands_to_the_device(run):
    battle = Battle(run)
    commands = battle.commands_to("acme", "bulb")
    box = run.adversary("adv-lan").position("lan-balancers")
    result = fight_on(run, "C1.1d", lambda ways: Fight(battle, box, "acme-device-gateway", "down", "command/", ways, None, commands), commands)
    the_owner_is_obeyed(run, "acme", "bulb")
    return result


@assertion("C1.2")
def the_attacks_succeed_without_the_application_layer(run):
    found = run.control.found
    ends_tls = [name for name, process in run.scenario.processes.items() if process.get("form") == "balancer"]
    file = run.keep("C1.2.json", found)
    blind = [name for name in ends_tls if not found["read"].get(name)]
    expect(not blind, f"with sealing off {', '.join(blind)} reads nothing: it could not see a leak either", [file])
    refused = [hop for hop in HOPS if not found["taken"].get(hop)]
    expect(not refused, f"with sealing off what was changed at {', '.join(refused)} is not delivered", [file])
    here = {name: box.seen(1).get("sightings", []) for name, box in run.wired.equipment.items()}
    expect(not any(here.values()), f"on this build equipment reads {here}", [file])
    return f"with sealing off {', '.join(ends_tls)} read the text and a changed record of each of {len(HOPS)} hops was delivered; here nothing is read", [file]


@assertion("C1.3a")
def each_stream_has_a_key_of_its_own(run):
    kids = {}
    for owner in run.wired.products.values():
        for line in held_under_keys(owner.app.call("raw", "--last", "40", hop=run.wired.hops[owner.backend])):
            kids.setdefault(line["kid"], set()).add((line["instantiation"], line["stream"]))
    file = run.keep("C1.3a.json", {kid: sorted(map(list, places)) for kid, places in kids.items()})
    streams = {place for places in kids.values() for place in places}
    expect(len(streams) >= 5 and len({instantiation for instantiation, _ in streams}) == 2, f"only {len(streams)} streams were seen", [file])
    shared = {kid: places for kid, places in kids.items() if len(places) > 1}
    expect(not shared, f"{len(streams)} streams have {len(kids)} keys", [file])
    return f"{len(streams)} streams of two homes name {len(kids)} different keys", [file]


@assertion("C1.3b")
def the_seal_binds_every_field(run):
    found = {}
    for owner in run.wired.products.values():
        lines, _ = owner.app.call("verify-binding", hop=run.wired.hops[owner.backend], check=False)
        for line in lines:
            if line["event"] == "binding":
                found.setdefault(line["field"], []).append((line["records"], line["opened"]))
    file = run.keep("C1.3b.json", found)
    wanted = {"tenant", "instantiation", "topic", "sender", "stream", "epoch", "sequence"}
    expect(wanted <= set(found) and all(len(found[field]) == 2 and all(records for records, _ in found[field]) for field in wanted),
           f"tried were {found}", [file])
    opened = {field: sum(count for _, count in sums) for field, sums in found.items()}
    expect(not any(opened.values()), f"opened in another place: {opened}", [file])
    return f"{sum(records for records, _ in found['stream'])} real records of two homes, claimed at another {', '.join(sorted(wanted))}: none opens", [file]


@assertion("C1.3c")
def no_nonce_repeats(run):
    run.new_readings(20)
    records, again, sealed = 0, [], {}
    for owner in run.wired.products.values():
        held = held_under_keys(owner.app.call("raw", "--last", "200", hop=run.wired.hops[owner.backend]))
        records += len(held)
        again += repetitions(held)
        for line in held:
            sealed.setdefault(line["stream"], []).append(line["sequence"])
    file = run.keep("C1.3c.json", {"records": records, "streams": {stream: len(found) for stream, found in sealed.items()}, "again": again})
    expect(records >= 100 and max(map(len, sealed.values())) >= 20, f"only {records} records of {len(sealed)} streams were seen", [file])
    expect(not again, f"{len(again)} of {records} records begin like another of their stream, such as {again[0] if again else ''}", [file])
    return f"of {records} records of {len(sealed)} streams none begins like another of its stream, although what is said does", [file]


@assertion("C1.4")
def what_leaks_is_measured(run):
    box = run.adversary("adv-wan").position("wan-balancers")
    before, started = box.seen(1), time.monotonic()
    run.new_readings(5)
    after, seconds = box.seen(200), time.monotonic() - started
    sizes, seen = [], {"topics": set(), "senders": set(), "streams": set(), "instantiations": set()}
    for group in after["groups"]:
        parts = list(fields(base64.b64decode(group)))
        header = dict(fields(next(value for number, value in parts if number == 1)))
        for name, number in (("instantiations", 2), ("topics", 3), ("senders", 4), ("streams", 6)):
            if header.get(number):
                seen[name].add(header[number])
        sizes += [len(dict(fields(value)).get(2, b"")) for number, value in parts if number == 2]
    leak = {"records": int(after["records"]) - int(before["records"]), "seconds": round(seconds, 1),
            "cose_bytes": int(after["cose_bytes"]) - int(before["cose_bytes"]), "smallest": min(sizes), "largest": max(sizes),
            **{name: len(values) for name, values in seen.items()}}
    file = run.keep("C1.4.json", leak)
    expect(leak["records"] > 0 and all(seen.values()) and leak["instantiations"] == 2, f"the equipment saw {leak}", [file])
    return (f"in {leak['seconds']} s the balancers saw {leak['records']} records of {leak['smallest']} to {leak['largest']} bytes, their times, and "
            f"{leak['instantiations']} instantiations, {leak['senders']} senders, {leak['topics']} topics, {leak['streams']} streams by identifier"), [file]


@assertion("C1.6a")
def joining_is_attacked(run):
    return meddled_with(run, "C1.6a", run.wired.products["acme"], "thermo", run.adversary("adv-lan").position("lan-balancers"), "acme-device-gateway")


@assertion("C1.6b")
def a_photographed_label_opens_nothing(run):
    owner = run.wired.products["acme"]
    thief = App(run.stack, run.wired.pki_of(owner.tenant), owner.tenant, "thief", run.wired.hops[owner.backend], place=run.wired.place(GUEST))
    return photographed(run, owner, "thermo", thief)


@assertion("C1.6c")
def a_clone_is_noticed(run):
    return cloned(run, "C1.6c", run.wired.products["acme"], "thermo", run.adversary("adv-thief"))
