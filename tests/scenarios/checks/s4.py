"""S4: another developer's app that nobody granted anything."""

import copy
import os
import pathlib

import scenario as scenarios
import shapes
import yaml
from registry import assertion, expect
from stranger import publication, subscription
from tls_client import Forger, s_client
from watched import fields

STRANGER, OWNER = "other-app", "phone"
HOPS = ("home-gateway", "backend")
# google.rpc.Code. Who may not see a home is told the same as if there were none.
NOT_FOUND, PERMISSION_DENIED = 5, 7


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


def write(run, stranger, known, hop):
    """It publishes what it calls the owner's command to the bulb; the refusals in the answer."""
    topic = f"command/{known.members['bulb'].hex()}"
    request = publication(known.tenant, known.instantiation, topic, known.owner_id(run.wired.apps[OWNER]), known.epoch, os.urandom(16), os.urandom(200))
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


@assertion("S4.6")
def a_copied_credential_is_useless(run):
    leaf = run.wired.strangers[STRANGER].leaf
    copied = Forger(run.stack, "copied").self_signed("copied", leaf.spiffe)  # says the same of itself; the key is another
    told = []
    for name in HOPS:
        hop = run.wired.hops[name]
        with_its_key, without = s_client(hop.address, hop.roots, leaf), s_client(hop.address, hop.roots, copied)
        expect(with_its_key.accepted, f"{name} does not even accept the app itself: {with_its_key}")
        expect(not without.accepted, f"{name} accepts another client that calls itself {leaf.spiffe}")
        told.append(name)
    return f"{' and '.join(told)} accept {leaf.spiffe} with its own key, and nobody who only says so"


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
    path = pathlib.Path(run.stack.path("S4.yaml"))

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
    return f"refused: {said.splitlines()[0].split(': ', 1)[1]}; then columns {', '.join(changed.columns)}, and no assertion shows anything of APP3"
