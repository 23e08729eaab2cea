"""Devices that come while a scenario runs, who meddles with how they join, and a second one that is a copy of a first."""

import pathlib

import paths  # noqa: F401
from demo_membership import WAIT, Story, attack, judge_joining, made, strangers_in
from home import Device
from registry import expect
from scenario import GUEST

COMES = 40  # seconds
CLONED = {"cloned_or_rolled_back", "conflict"}  # what a reader says of a sender that contradicts itself
# What equipment between device and gateway does to M1, which goes down to the device, and to M2, which comes up from it.
WAYS = [(message, direction, kind, target) for message, direction in (("M1", "down"), ("M2", "up"))
        for kind, target in (("modify", "cose_ciphertext"), ("forge", None), ("replay", None), ("drop", None))]


def arrive(run, owner, like, name):
    """A device of somebody's product that shows its label, on the way that device `like` has."""
    wired = run.wired
    device = Device(run.stack, wired.pki_of(owner.tenant), owner.tenant, name, "temperature", wired.next_hop(like), "--interval", 0.5,
                    "--denied-servers", wired.denied_servers(owner), place=wired.place(like))
    device.process.wait_for("pairing", lambda entry: entry["step"] == "announced", COMES)
    return device


def meddled_with(run, name, owner, like, box, listener):
    """Each way of WAYS on a newcomer of its own: it joins, and is this very device, or the phone says that it did not."""
    stories, devices = [], []
    for number, (message, direction, kind, target) in enumerate(WAYS):
        device = arrive(run, owner, like, f"late-{number}")
        devices.append(device)
        planned = attack(box, listener, direction, "rendezvous", kind, target)
        lines, result = owner.app.pair([device.wait_label()], wait=WAIT, check=False)
        story = Story(message, kind, owner.name)
        story.injections = made(box, "device-gateway", planned)
        stories.append(judge_joining(None, owner, device, story, lines, result))
    found = strangers_in(owner)
    run.stack.stop(processes=[device.process for device in devices])
    file = run.keep(f"{name}.json", [{"message": one.message, "attack": one.kind, "made": len(one.injections), "ended": one.ending,
                                      "said": one.why} for one in stories])
    unmade = [f"{one.kind} of {one.message}" for one in stories if not one.injections]
    expect(not unmade, f"not made: {', '.join(unmade)}", [file])
    silent = [f"{one.kind} of {one.message}" for one in stories if one.ending is None]
    expect(not silent, f"ended neither with this very device nor with a word: {', '.join(silent)}", [file])
    taken = [f"{one.kind} of {one.message}" for one in stories if one.kind == "modify" and one.ending != "failed"]
    expect(not taken, f"joined although it was changed: {', '.join(taken)}", [file])
    expect(not found, f"the roster names {', '.join(found)}, whom nobody invited", [file])
    told = [f"{one.kind} of {one.message}: {'joined all the same' if one.ending == 'joined' else 'failed, and said so'}" for one in stories]
    return "; ".join(told) + "; nobody else is in the roster", [file]


def photographed(run, owner, like, thief):
    """Whoever has a photograph of a label, and a certificate of the tenant, tries it once its device has joined."""
    device = arrive(run, owner, like, "late-photographed")
    photograph = pathlib.Path(run.stack.path("photograph.label"))
    photograph.write_bytes(pathlib.Path(device.wait_label()).read_bytes())
    photograph.chmod(0o600)
    owner.app.pair([device.label])
    joined = device.wait_joined()
    expect(joined["instantiation"] == owner.instantiation, f"the device is in {joined['instantiation']}")
    owner.watch.wait_readings(device.name, 1, COMES)
    mark = owner.watch.events.mark()
    lines, result = thief.pair([photograph], wait=WAIT, check=False)
    expect([line for line in lines if line.get("step") == "m1_sent"], f"the thief's phone did not even come to ask the device: {lines} {result.stderr.strip()}")
    ended = [line for line in lines if line["event"] == "paired"]
    expect(result.returncode != 0 and not [one for line in ended for one in line["paired"]], f"the thief's phone pairs it: {ended}")
    said = [one["reason"] for line in ended for one in line["failed"] if "not yours yet" in one["reason"]]
    expect(said, f"the thief's phone is told something else: {lines} {result.stderr.strip()}")
    owner.watch.wait_readings(device.name, 2, COMES, mark)
    expect(len(device.process.log.find("joined")) == 1, "the device joined twice")
    owner.devices_joined_late[device.name] = device
    found = strangers_in(owner)
    expect(not found, f"the roster names {', '.join(found)}, whom nobody invited")
    run.stack.stop(processes=[device.process])
    return f"the thief's phone, which asked: {said[0]}; the device stays its owner's, whose phone goes on reading it"


def cloned(run, name, owner, device, thief):
    """A thief's device with all that one of the owner's has: the owner is told. The genuine one goes on once it was started anew."""
    genuine, hop, watch = owner.devices[device].process, run.wired.next_hop(device), owner.watch
    state, leaf = next(path for path in thief.take(device, "store").iterdir() if path.is_dir()), thief.leaf(device)
    streams, mark = {watch.records("readings", device)[-1]["stream"]}, watch.events.mark()
    clone = run.stack.start(f"{device}-clone", "keystead-device-sim", "--state", state, "--id", device, "--tls-chain", leaf.chain, "--tls-key", leaf.key,
                            "--roots", hop.roots, "--next-hop", hop.address, "--next-hop-id", hop.spiffe, *run.wired.measuring(device),
                            place=run.wired.place(GUEST))
    clone.wait_for("connected", patience=COMES)

    def told():
        streams.update(entry["stream"] for entry in watch.records("readings", device, mark))
        return sorted({entry["kind"] for entry in watch.alarms(mark) if entry.get("stream") in streams} & CLONED)
    run.within(told, COMES, "the phone takes what both of them say, and says nothing")
    run.stack.stop(processes=[clone])
    genuine.terminate(30)
    genuine.relaunch()
    run.new_readings(2, COMES)
    file = run.keep(f"{name}.json", {"streams": sorted(streams), "alarms": told()})
    return f"the phone says {', '.join(told())} of {device}; started anew, the genuine one goes on", [file]
