"""S1: a bulb and a TV set, each of which does all by itself, in a home with a router and a host of somebody else's."""

import functools
import pathlib
import shutil
import socket

import paths  # noqa: F401
from demo_canary import Search
from harness import wait_until
from home import Device
from network import Capture, open_ports
from registry import CannotRun, assertion, expect
from scenario import outcomes
from sockets import doors, has_none, peers

LEVELS = (10, 35, 70, 100)
OUTSIDE = ("198.51.100.7", 443)  # nobody's (RFC 5737)
HEARD = range(1, 3001)  # ports of which everything that comes back is looked at
BLOCK = 128  # bytes that are searched for after a reset: more than what two records could share
BAD = (b"", b"dim", b"brightness 101", b"brightness -1", b"brightness 1e1", b"on off", b"\xff\xfe\x00", b"on\r", b"o" * 300)


def devices(run):
    return run.wired.alone["bulb"], run.wired.alone["tv"]


def network(run):
    if run.wired.network is None:
        raise CannotRun(run.wired.no_network)
    return run.wired.network


def dim(bulb, level):
    """By its button, and shown."""
    bulb.press(f"brightness {level}")
    bulb.shown(lambda values: values["brightness"] == level, bulb.display.mark())


class Door:
    """Somebody who listens and never answers, for callers that must be seen calling."""

    def __init__(self, run, name):
        self.listener = run.wired.within(name, lambda: socket.create_server((run.wired.place(name).address, 0)))
        self.address = "%s:%d" % self.listener.getsockname()
        self.port = self.listener.getsockname()[1]
        self.spiffe, self.roots = "", ""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.listener.close()


@functools.cache
def talker(run):
    """The same program with a next hop, in a place of its own; ended again. (Whom it was connected to, packets that it sent)."""
    wired, tenant = run.wired, next(iter(run.wired.tenants.values()))
    [pki] = wired.pkis()
    with Door(run, "router") as door:
        door.spiffe, door.roots = f"spiffe://{tenant}/gateway/*", pki.roots(tenant)
        speaker = Device(wired.stack, pki, tenant, "speaker", "lightbulb", door, place=wired.place("guest")).process
        found = wait_until(lambda: peers(speaker.popen.pid), "the device with a next hop to be seen calling it")
        expect({address for _, address in found} == {door.address}, f"it calls {found} instead of {door.address}")
        sent = sum(wired.network.sent("guest").values()) if wired.network else None
        speaker.terminate(20)
    return door.address, sent


@assertion("S1.1")
def all_works_and_nobody_is_called(run):
    bulb, tv = devices(run)
    looks = 0
    for level in LEVELS:
        dim(bulb, level)
        tv.new_shown(1)
        for device in (bulb, tv):
            expect(has_none(device.process.popen.pid), f"{device.name} has a socket")
            looks += 1
    address, sent = talker(run)
    seen = f"the same look at a device with a next hop finds it at {address}"
    if run.wired.network:
        packets = {device.name: run.wired.network.sent(device.name) for device in (bulb, tv)}
        expect(not any(count for cards in packets.values() for count in cards.values()), f"packets left: {packets}")
        expect(sent, "the kernel counts no packet of the device with a next hop either")
        seen += f", and {sent} packets of it; of these from their start on: none on any card"
    return f"{run.wired.where()}: {len(LEVELS)} buttons obeyed, no socket at {looks} looks; {seen}"


@assertion("S1.2b")
def what_is_kept_is_sealed(run):
    _, tv = devices(run)
    search = Search({"planted text": run.wired.canary.untold})
    expect(run.control.measured.hits.get("tv"), "with sealing off the search finds nothing in the TV set's files")
    tv.new_shown(3)
    hits = search.in_files(tv.state, "files")
    searched = search.bytes
    expect(not hits, f"on the disk of the TV set: {sorted(map(str, hits))}")
    expect(searched > 1000, f"only {searched} bytes are there: it keeps nothing")
    expect(search.in_memory(tv.process.popen.pid, "memory"), "the search does not find the text in the memory of the set itself")
    expect(run.wired.canary.text in tv.shown(), "the set does not show the text on its own display")
    return f"nothing in {searched / 1e3:.0f} kB of its files; there with sealing off, and in its memory and on its display as well"


@assertion("S1.2c")
def what_is_kept_is_bounded(run):
    bulb, tv = devices(run)
    bound = run.scenario.processes["bulb"]["journal_bytes"]
    bulb.new_shown(60)
    told = {}
    for device in (bulb, tv):
        mark = device.process.log.mark()
        kept = device.restart()
        stopped = device.process.wait_for("stopped", start=mark)
        expect(kept["damaged"] == 0 and kept["records"] == stopped["kept"] > 0, f"{device.name} kept {stopped}, and has again {kept}")
        told[device.name] = stopped
    expect(told["bulb"]["dropped"] > 0 and told["bulb"]["kept_bytes"] <= bound, f"of a diary of {bound} bytes: {told['bulb']}")
    run.new_readings()
    return (f"the bulb kept {told['bulb']['kept_bytes']} of at most {bound} bytes and dropped {told['bulb']['dropped']} records; after a restart all "
            f"{told['bulb']['kept']} and the TV set's {told['tv']['kept']} opened")


@assertion("S1.2d")
def bad_lines_change_nothing(run):
    bulb, _ = devices(run)
    dim(bulb, 35)
    for number, line in enumerate(BAD):
        shown, logged = bulb.display.mark(), bulb.process.log.mark()
        bulb.process.popen.stdin.write(line + b"\n")
        bulb.process.popen.stdin.flush()
        bulb.display.wait_for("refused", None, None, shown, bulb.process)
        after = bulb.shown(None, bulb.display.mark())
        expect(after["brightness"] == 35 and after["on"] == 1, f"line {number} ({line[:20]!r}) changed the light to {after}")
        said = [entry["event"] for entry in bulb.process.log.read()[logged:]]
        expect(said == ["button_refused"], f"line {number} ({line[:20]!r}) is logged as {said}")
    dim(bulb, 70)
    return f"{len(BAD)} lines refused, one log line each, the light as it was; the next good one was obeyed"


@assertion("S1.3a")
def the_router_sees_nothing(run):
    home, (bulb, tv) = network(run), devices(run)
    capture = Capture(home)
    try:
        for level in LEVELS:
            dim(bulb, level)
        tv.new_shown(5)
        quiet = {device.name: len(capture.of(device.name)) for device in (bulb, tv)}

        def tell():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
                speaker.sendto(run.wired.canary.text.encode("ascii"), (home.addresses["router"], 9))
        home.within("guest", tell)
        planted = run.wired.canary.untold.encode("ascii")
        wait_until(lambda: any(planted in frame.data for frame in capture.of("guest")), "what the guest said in clear")
    finally:
        capture.stop()
    file = run.keep("S1.3a.pcap", capture.as_pcap())
    shows = [frame for frame in capture.frames if planted in frame.said() and frame not in capture.of("guest")]
    expect(not any(quiet.values()) and not shows, f"frames that came while both worked: {quiet}; {len(shows)} show the planted text", [file])
    passed = run.wired.equipment["router"].seen(10).get("sightings", [])
    expect(not passed, f"through the router's door came {passed}", [file])
    return f"no frame of bulb or TV set while both worked; of the guest's {len(capture.of('guest'))} frames one shows the planted text", [file]


@assertion("S1.3b")
def a_neighbour_learns_and_changes_nothing(run):
    home, lone = network(run), devices(run)
    dim(lone[0], 35)
    logs = {device.name: device.process.log.mark() for device in lone}
    with Door(run, "guest") as door:
        expect(home.open_ports("adv-lan", home.addresses["guest"]) == {door.port}, "the scan does not find the guest's door")
    found = {device.name: home.open_ports("adv-lan", home.addresses[device.name]) for device in lone}
    capture = Capture(home)
    try:
        for device in lone:
            home.within("adv-lan", lambda address=home.addresses[device.name]: (open_ports(address, HEARD), datagrams(address)))
    finally:
        capture.stop()
    answers = {device.name: capture.of(device.name) for device in lone}
    expect(not any(found.values()), f"these ports accept: {found}")
    expect(all(answers.values()), "not even a refusal came back: nothing arrived there")
    said = {name: [frame.said() for frame in frames if frame.said()] for name, frames in answers.items()}
    expect(not any(said.values()), f"somebody answered with content: { {name: len(texts) for name, texts in said.items()} }")
    after = lone[0].shown(None, lone[0].display.mark())
    expect(after["brightness"] == 35, f"the light is {after}")
    for device in lone:
        expect(not device.process.ended() and device.process.log.mark() == logs[device.name], f"{device.name} noticed: {device.process.tail()}")
        expect(not doors(device.process.popen.pid), f"{device.name} listens")
    return (f"of 2 × 65,535 TCP ports none accepts; to calls and datagrams on {len(HEARD)} ports of each {sum(map(len, answers.values()))} frames came back, "
            "refusals of the kernel without any content; light, display and log as before; the same scan finds the guest's door")


def datagrams(address):
    """One to each of these UDP ports."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        for port in HEARD:
            try:
                caller.sendto(b"who are you?", (address, port))
            except OSError:
                pass  # an earlier one was refused


def reaches(where):
    with socket.socket() as caller:
        caller.settimeout(3)
        return caller.connect_ex(where) == 0


@assertion("S1.4")
def neither_reaches_the_other(run):
    home = network(run)
    with Door(run, "guest") as door:
        for here, there in (("bulb", "tv"), ("tv", "bulb")):
            found = home.within(here, lambda there=there: open_ports(home.addresses[there]))
            expect(not found, f"from {here}, {there} accepts on {sorted(found)}")
            expect(not home.ways_out(here), f"{here} has a way out: {home.ways_out(here)}")
            expect(not home.within(here, lambda: reaches(OUTSIDE)), f"{here} reaches {OUTSIDE}")
            expect(home.within(here, lambda: reaches((home.addresses["guest"], door.port))), f"{here} does not even reach the guest's door")
    return "from the place of each, none of 65,535 ports of the other accepts, no route leads out of the home; a guest's door is reached from both"


@assertion("S1.2a")
def nothing_else_is_needed(run):
    bulb, tv = devices(run)
    router = run.wired.process("router")
    stubborn = run.stack.stop(processes=[router])
    expect(not stubborn and router.popen.returncode == 0, f"the router did not end when asked: {router.popen.returncode}")
    try:
        alive = sorted(name for name, process in run.stack.processes.items() if not process.ended())
        expect(alive == ["bulb", "tv"], f"there still run {alive}")
        for level in LEVELS:
            dim(bulb, level)
        tv.new_shown(3)
    finally:
        router.relaunch()
    technical = {name for name, entry in outcomes().items() if "feature" not in entry and "DEV" in entry["components"]}
    asked = {name: sorted(one["id"] for one in run.scenario.assertions if "DEV" in one["outcomes"].get(name, [])) for name in sorted(technical)}
    file = run.keep("S1.2a.json", asked)
    without = [name for name, ids in asked.items() if not ids]
    expect(not without, f"nothing asks for {', '.join(without)}", [file])
    runs = {one["id"] for one in run.scenario.runnable()}
    evaluated = [name for name, ids in asked.items() if runs & set(ids)]
    return (f"both went on with no other process; of {len(asked)} outcomes of a device {len(evaluated)} are evaluated on them alone, for "
            f"{', '.join(name for name in asked if name not in evaluated)} the file says why not"), [file]


def blocks(folder):
    """Pieces of the records in the files of a folder, which a store begins anew; what it says of itself would be the same again."""
    found = set()
    for path in sorted(path for kind in ("log", "sst", "blob") for path in pathlib.Path(folder).rglob(f"*.{kind}")):
        data = path.read_bytes()
        pieces = (data[at:at + BLOCK] for at in range(0, len(data) - BLOCK, BLOCK))
        found |= {piece for piece in pieces if len(set(piece)) > BLOCK // 4}
    return found


def everything(folder):
    return b"\0".join(path.read_bytes() for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file())


@functools.cache
def reset(run):
    """The TV set forgets: (what it said it had kept before, what it says after, its old records' folder, a copy of it, blocks, key)."""
    _, tv = devices(run)
    before = tv.restart()
    tv.new_shown(5)
    tv.process.terminate(30)
    state = pathlib.Path(tv.state)
    [records] = [path for path in state.iterdir() if path.is_dir()]
    key = (state / "tv.diary").read_bytes()[-32:]
    old = blocks(records)
    there = everything(state)
    expect(key in there and len(old) > 10 and all(block in there for block in old), "key and records are not found before the reset either")
    copied = pathlib.Path(run.stack.path("old-records"))
    shutil.copytree(records, copied)
    after = tv.restart("--reset")
    tv.new_shown()
    return before, after, records, copied, old, key


@assertion("S1.7a")
def a_reset_forgets(run):
    _, tv = devices(run)
    before, after, records, _, old, key = reset(run)
    expect(after["records"] == 0 and after["damaged"] == 0, f"after the reset it has {after}")
    there = everything(tv.state)
    left = [block for block in old if block in there]
    expect(key not in there, "the old key is still on the disk")
    expect(not left and not records.exists(), f"{len(left)} of {len(old)} blocks of the old records are still on the disk")
    return f"before: {before['records']} records; after: none, the key in no file, and none of {len(old)} blocks of the old records; it works on"


@assertion("S1.7b")
def nothing_comes_back(run):
    _, tv = devices(run)
    _, _, records, copied, _, _ = reset(run)
    tv.process.terminate(30)
    forgotten = not records.exists()
    if forgotten:
        shutil.copytree(copied, records)
    kept = tv.restart()
    expect(forgotten, "after the reset the old records are still where they were")
    stopped = [entry for entry in tv.process.log.find("stopped")][-1]
    expect(kept["damaged"] == 0 and kept["records"] == stopped["kept"] > 0, f"without a reset it kept {stopped} and has again {kept}")
    expect(not records.exists(), "the old records are still there")
    tv.new_shown()
    return f"a restart kept all {kept['records']} records since the reset, of the old ones that were put back none; their folder is gone"
