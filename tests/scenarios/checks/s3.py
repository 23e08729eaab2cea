"""S3: a gateway that belongs to the product, and whoever becomes root on it."""

import functools
import pathlib

import boundary
import evidence
import scenario as scenarios
from battle import Battle, Fight, fight_commands, fight_out, judge
from certificate import named_in
from demo_canary import Search
from demo_keys import encoded, expanded
from handshake import refuses
from product import Pki
from product_keys import held_keys, hits_in, holds_nothing, keys_in, keys_of_product
from registry import assertion, expect
from sockets import doors, peers
from stranger import served
from tls_client import Forger, s_client
from trap import Trap, nobody_spoke

LINKS = ("a-device", "a-app")
COMES_BACK = 60  # seconds
READINGS = [("modify", "topic"), ("modify", "stream"), ("modify", "cose_partial_iv"), ("modify", "cose_ciphertext"), ("modify", "cose_tag"),
            ("truncate", "cose_ciphertext"), ("duplicate", None), ("replay", None), ("splice", "stream"), ("splice", "sequence"),
            ("forge", "stream")]


def ending(transport):
    return transport.rsplit("/", 1)[1]


@assertion("S3.2a")
def the_gateway_is_in_the_inventory(run):
    owner = run.wired.products["A"]
    members = {ending(member["transport"]): member for member in owner.app.call("members")[0]["members"]}
    wanted = {name for name, process in run.scenario.processes.items() if process.get("product") == "A"} | {"gw-root"}
    expect(set(members) == wanted, f"the inventory has {sorted(members)}, wanted {sorted(wanted)}")
    gateway, chain = members["gateway-a"], run.wired.paths("gateway-a", "certificate")[0]
    shown = named_in(chain)
    expect(gateway["transport"] == shown, f"the inventory says {gateway['transport']}, the certificate {shown}")
    expect(not gateway["rights"], f"the gateway has rights: {gateway['rights']}")
    return f"{', '.join(sorted(members))}; the gateway as {shown}, device {gateway['device']}, without a right"


@functools.cache
def of_root(run):
    """All that root has of the gateway itself; what it has of the service on it is S3.3c's."""
    return [folder for folder in run.adversary("adv-gwroot").take_all() if folder.parent.name != "summary-a"]


@assertion("S3.3a")
def root_reads_nothing(run):
    owner = run.wired.products["A"]
    keys = keys_of_product(owner)
    searched, _ = holds_nothing(run, "adv-gwroot", of_root(run), keys, owner.app, ("gateway-a", "gw-root"))
    members = [path for folder in of_root(run) for path in folder.rglob("member")]
    expect(members, "what the gateway keeps as a member is not found")
    # A key that was derived for it alone is none of the phone's, and a search for those would not find it.
    for path in members:
        secret, topics, senders = keys_in(path.read_bytes())
        expect(not secret and not topics and not senders, f"the gateway was given the secret: {bool(secret)}; keys of {sorted({*topics, *senders})}")
    return (f"{searched / 1e6:.0f} MB of the gateway's were searched for the text and {len(keys)} keys: none; as a member it was given no key; with sealing off "
            "the text is there")


@assertion("S3.5a")
def root_has_product_a_alone(run):
    wired, told = run.wired, {}
    for name, owner in wired.products.items():
        keys = keys_of_product(owner) if name != "A" else {}
        told[name] = hits_in(run.adversary("adv-gwroot").take_all(), Search({**keys, f"instantiation of {name}": bytes.fromhex(owner.instantiation)}))
    file = run.keep("S3.5a.json", {name: sorted(map(list, hits)) for name, hits in told.items()})
    expect(told.pop("A"), "not even product A's name is found in its own gateway: the search sees nothing", [file])
    expect(not any(told.values()), f"adv-gwroot has of others: {told}", [file])
    run.new_readings()
    return f"nothing of {', '.join(told)}, neither key nor name; product A's name is there; all go on", [file]


@assertion("S3.3d")
def the_gateway_has_one_door(run):
    wired, seen = run.wired, set()
    pid, own, registry = wired.process("gateway-a").popen.pid, wired.hops["gateway-a"].address, wired.hops["registry"].address
    for _ in range(4):
        seen |= {address for _, address in peers(pid)}
        run.new_readings(1)
    listening = doors(pid)
    expect(listening == {own}, f"the gateway listens on {sorted(listening)}, declared is {own}")
    # Whoever is connected to where somebody listens has called there; all others came in.
    called = seen & all_doors(run)
    expect(called == {registry}, f"the gateway called {sorted(called)}, declared is {registry}")
    expect(len(seen) > 1, "nobody who came in was seen: the look sees nothing")
    return f"one door, {own}; it called {registry} alone; {len(seen) - 1} connections came in"


def all_doors(run):
    return {door for process in run.stack.processes.values() if not process.ended() for door in doors(process.popen.pid)}


@assertion("S3.3c")
def an_endpoint_reads_what_it_was_granted(run):
    owner, service = run.wired.products["A"], run.wired.apps["summary-a"]
    run.within(lambda: service.watching.events.find("mean"), COMES_BACK, "the service names no mean")
    secret, topics, senders = held_keys(service)
    [granted] = [member["member"] for member in owner.app.call("members")[0]["members"] if member["device"] == "bulb-a"]
    expect(not secret and {*topics, *senders} == {f"telemetry/{granted}"}, f"it has a secret: {bool(secret)}; keys of {sorted({*topics, *senders})}")
    taken = [run.adversary("adv-gwroot").take("summary-a", what) for what in ("store", "certificate", "key", "log", "memory")]
    every = keys_of_product(owner)
    expect(topics[f"telemetry/{granted}"] in every.values(), "the keys that are looked for are not those that the product derives")
    # What follows from the one that it has is its, too; what was of that topic before it came is not.
    own = topics[f"telemetry/{granted}"]
    follows = {own, *(expanded(own, encoded("ks1 sender", bytes.fromhex(member["member"]))) for member in owner.app.call("members")[0]["members"])}
    theirs = {name: key for name, key in every.items() if key not in follows}
    searched, _ = holds_nothing(run, "adv-gwroot", taken, theirs, owner.app, ())
    seen = hits_in(taken, Search({"its own reading key": topics[f"telemetry/{granted}"]}))
    expect(seen, "root does not even find the reading key that is there")
    mean = service.watching.events.last("mean")[1]
    return (f"it names {mean['channel']} {mean['mean']:.1f} {mean['unit']}; {searched / 1e6:.0f} MB of it have its one reading key, and neither the planted text nor one "
            f"of {len(theirs)} other keys")


@assertion("S3.3e")
def spoilt_readings_are_refused_or_noticed(run):
    fights = [Fight(Battle(run), run.adversary("adv-gwroot").position("gw-root"), "a-device", "up", "telemetry/", READINGS, "gateway-a")]
    fight_out(run, fights)
    text, file = judge(run, "S3.3e", fights)
    refused = fights[0].verdicts()
    expect(any(cell.get("refused") for cell in refused.values()), f"the gateway's own program refused nothing: {refused}", [file])
    return text, [file]


@assertion("S3.3b")
def root_does_not_actuate(run):
    return fight_commands(run, "S3.3b", run.adversary("adv-gwroot").position("gw-root"), "a-device", "down", "A", "bulb-a")


@assertion("S3.4a")
def strangers_are_not_admitted(run):
    wired, owner = run.wired, run.wired.products["A"]
    gateway, bulb = owner.gateway, owner.devices["bulb-a"].leaf
    world = Pki(run.stack, [owner.tenant], "pki-of-strangers")
    strangers = {"no certificate": None, "a self-signed one": Forger(run.stack, "forged-devices").self_signed("self", bulb.spiffe),
                 "another tenant's": wired.products["B"].devices["bulb-b"].leaf,
                 "another provider's world": world.leaf(owner.tenant, "device", "bulb-a")}
    refuses(run.stack, "the gateway", gateway, bulb, strangers)
    run.new_readings()
    return f"refused in the handshake: {', '.join(strangers)}"


@assertion("S3.4b")
def outsiders_of_the_tenant_get_nothing(run):
    wired, owner = run.wired, run.wired.products["A"]
    rogue = wired.pki_of(owner.tenant).leaf(owner.tenant, "device", "rogue")
    expect(s_client(owner.gateway.address, owner.gateway.roots, rogue).accepted, "TLS itself refuses it: nothing above it is tried")
    topics = [f"telemetry/{member['member']}" for member in owner.app.call("members")[0]["members"] if member["device"] in owner.devices]
    mine, said = served(run.stack, owner, owner.app.leaf, owner.gateway, topics)
    expect(mine, f"the owner is served nothing either, and the refusal proves nothing: {said}")
    taken, told = served(run.stack, owner, rogue, owner.gateway, topics)
    neighbours, _ = served(run.stack, owner, wired.products["cabin"].app.leaf, owner.gateway, topics)
    expect(not taken and not neighbours, f"{rogue.spiffe} was served {taken} messages, the other home's phone {neighbours}")
    return f"the owner gets {mine} messages, {rogue.spiffe} and the other home's phone none: {told}"


@assertion("S3.4c")
def clones_are_not_accepted(run):
    wired, owner = run.wired, run.wired.products["A"]
    gateway, front = wired.process("gateway-a"), wired.courier("gw-root", owner.tenant)
    pki = wired.pki_of(owner.tenant)
    forger = Forger(run.stack, "forged-gateways")
    names = {"a-device": front.spiffe, "a-app": owner.gateway.spiffe}
    genuine = pki.leaf(owner.tenant, "gateway", "gateway-a", "--server")
    shown = {"a clone with an identity of the tenant": pki.leaf(owner.tenant, "gateway", "clone", "--server"),
             "a clone with the genuine name of its own making": {door: forger.self_signed(f"self-{door}", name) for door, name in names.items()},
             "the genuine ones": {"a-device": front, "a-app": genuine}}
    back = {"a-device": wired.equipment["gw-root"].process.address("a-device"), "a-app": gateway.address("lan")}
    with Trap(LINKS, run.wired.here) as trap:
        told = trap.meet_all(run, shown, run.adversary("adv-cloneGW").position("router"), back, COMES_BACK)
    file = run.keep("S3.4c.json", told)
    nobody_spoke(told, "the genuine ones", file)
    run.new_readings(patience=COMES_BACK)
    return "device and app came to both clones and said not one byte; to the genuine ones both did", [file]


@assertion("S3.5b")
def the_gateways_identity_opens_nothing_else(run):
    wired, registry = run.wired, run.wired.hops["registry"]
    gateway = wired.pki_of(wired.products["A"].tenant).leaf(wired.products["A"].tenant, "gateway", "gateway-a", "--server")
    got = {name: served(run.stack, owner, gateway, registry)[0] for name, owner in wired.products.items()}
    owners = {name: served(run.stack, owner, owner.app.leaf, registry)[0] for name, owner in wired.products.items()}
    file = run.keep("S3.5b.json", {"gateway": got, "owner": owners})
    expect(all(owners.values()), f"the owners themselves are served {owners}", [file])
    expect(got.pop("A"), "the gateway is not even served the product that it carries: the refusals prove nothing", [file])
    expect(not any(got.values()), f"with the gateway's identity the registry served {got}", [file])
    run.new_readings()
    return f"product A's sealed records and none of {', '.join(got)}, whose owners are served and whose readings go on", [file]


@assertion("S3.1a")
def only_the_file_makes_it_a_component(run):
    hub = scenarios.load(scenarios.find("S2"))
    there, here = hub.processes["hub-a"], run.scenario.processes["gateway-a"]
    expect(there["program"] == here["program"], f"S2 runs {there['program']}, S3 {here['program']}")
    recorded = run.recorded().run["programs"][here["program"]]
    actual = evidence.sha256_of(pathlib.Path(run.stack.bins) / here["program"])
    expect(recorded == actual, f"the evidence names {recorded}, the program is {actual}")
    inside = (boundary.in_product(there), boundary.in_product(here))
    expect(inside == (False, True), f"in the product in S2 and S3: {inside}")
    expect("GW" in run.scenario.columns and "GW" not in hub.columns, f"columns: S2 {hub.columns}, S3 {run.scenario.columns}")
    return f"{here['program']} {actual[:12]}: in S2 {boundary.reason(there)}; here {boundary.reason(here)}"


@assertion("S3.1b")
def the_column_is_complete(run):
    cells = run.recorded().cells
    asked = {name for name, entry in scenarios.outcomes().items() if "feature" not in entry and "GW" in entry["components"]}
    expect(len(asked) == 17, f"the reference asks {len(asked)} technical outcomes of a gateway")
    came_to = {key: entry for key, entry in cells.items() if key[2] == "GW" and entry["reason"] != evidence.NOT_YET}
    column = {outcome: {name: entry["verdict"] for (name, of, _), entry in came_to.items() if of == outcome} for outcome in asked}
    file = run.keep("S3.1b.json", column)
    empty = sorted(outcome for outcome, found in column.items() if not found)
    expect(not empty, f"no verdict for GW: {', '.join(empty)}", [file])
    blank = [key for key, entry in came_to.items() if not (entry["observed"] or entry["reason"]).strip()]
    expect(not blank, f"without a word: {blank}", [file])
    shown = sorted(outcome for outcome, found in column.items() if set(found.values()) & {"MET", "NOT_MET"})
    return f"17 of 17 have a line; {len(shown)} with something that ran ({', '.join(shown)}), the others with the reason why not", [file]
