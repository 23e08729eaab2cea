"""The demonstration's stages up to the attacks: certificates, joining, readings, a command, and what an eavesdropper has."""

import collections
import concurrent.futures
import os
import secrets

import harness
from demo_battle import gather
from demo_commands import sent_in
from demo_cose import held_under_keys, repetitions
from home import relabel
from product import ACME, GLOBEX, Balancer, Hop, Infra
from world import World

HOMES = {"acme": ACME, "cabin": ACME, "globex": GLOBEX}  # two homes of one tenant: each the other's "another home"
PLANTED = ("acme", "globex")  # the last device of these homes replays a file in which a text is planted
DEVICES = [  # home, name, kind
    ("acme", "bulb", "lightbulb"), ("acme", "thermo", "temperature"), ("acme", "machine", "host"),
    ("cabin", "stove", "temperature"),
    ("globex", "cuff", "blood-pressure"), ("globex", "field", "soil-moisture"),
]
FACTORY_FRESH = ("stove", "cuff")  # made with a factory identity only: they get their certificates over the same path
INTERVALS = {"acme": "0.1"}  # seconds between readings; the others, which nobody watches as closely, are slower
SLOW = "0.3"


class Demo:
    """What the stages share."""

    def __init__(self, screen, checks, stack, mutant, thorough):
        self.screen = screen
        self.checks = checks
        self.stack = stack
        self.mutant = mutant
        self.thorough = thorough
        self.world = None
        self.watches = {}  # home → Watch
        self.canary = "canary-" + secrets.token_hex(12)
        self.secrets = {}  # name → bytes that nobody but their holders may have
        self.injections = []
        self.stories = []  # attacks on joining and membership
        self.commands = []  # of `send`, as demo_commands.Sent
        self.expected_peers = set()  # SPIFFE ids that a stage itself lets ask in vain
        self.given_up = set()  # streams of commands that their sender gave up before they left it
        self.evidence = None
        # The kernel ends a process with the thread that started it: these threads live as long as the run.
        self.pool = concurrent.futures.ThreadPoolExecutor(4)

    @property
    def homes(self):
        return self.world.homes


def begin(demo):
    demo.screen.stage("Certificates and processes", "Every connection below is mutual TLS 1.3 with certificates made just now. But TLS "
                      "protects a hop, not the data: all equipment in between ends it and holds credentials of its own.")
    demo.world = World(demo.stack, HOMES, canaries=[demo.canary], say=demo.screen.say)
    demo.screen.say(f"on each of the three hops now stand a TCP relay and a TLS-terminating balancer: {len(demo.stack.processes)} "
                    "processes run. The homes acme and cabin belong to customers of one manufacturer, globex to another's")


def plant(demo, home):
    """A device whose readings carry the planted text as the name of what it measures."""
    path = demo.stack.path("planted.csv")
    if not os.path.exists(path):
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{demo.canary}\n" + "".join(f"{20 + i % 7}.5\n" for i in range(1000)))
    home.add_device(f"planted-{home.name}", None, "--replay", path, "--column", demo.canary, "--rate", "20", "--interval",
                    SLOW, hop=home.device_hop)


def join(demo):
    screen = demo.screen
    screen.stage("Joining from the printed labels", "Each device shows a label with a 256-bit code. Phone and device prove to each "
                 "other that they know it, through everybody's equipment, which learns nothing: the code never travels.")
    for name, device, kind in DEVICES:
        home = demo.homes[name]
        home.add_device(device, kind, "--interval", INTERVALS.get(name, SLOW), hop=home.device_hop,
                        enrolls=device in FACTORY_FRESH)
    for name in PLANTED:
        plant(demo, demo.homes[name])
    screen.say(f"{sum(len(home.devices) for home in demo.homes.values())} devices are switched on and show their labels; each owner's "
               "phone makes its home and reads them")
    private, joined = True, []
    for found, paired, home in demo.pool.map(join_home, demo.homes.values()):
        screen.say(f"{home.name}: instantiation {found['instantiation']} of {home.tenant}; gateway and three balancers are "
                   "couriers: they may carry, and hold no key")
        for device in home.devices.values():
            private = private and os.stat(device.label).st_mode & 0o777 == 0o600
            with open(device.label, encoding="ascii") as file:
                text = relabel(file.read())
            demo.secrets[f"setup code of {device.name}"] = setup_code(text)
            entry = device.wait_joined()
            added = {one["device"]: one["member"] for one in paired["paired"]}
            if (entry["member"], entry["instantiation"]) == (added.get(device.name), found["instantiation"]):
                joined.append(device.name)
        screen.say(f"{home.name}: joined {', '.join(sorted(home.devices))} in epoch {paired['epoch']}")
    everybody = [device for home in demo.homes.values() for device in home.devices]
    demo.checks.check("join.all_devices", sorted(joined) == sorted(everybody) and joined,
                      f"{len(joined)} of {len(everybody)} devices joined the home of their label, as the member that the phone added")
    demo.checks.check("join.labels_private", private, "every label file can be read by its owner alone (0600)")
    for name, home in demo.homes.items():
        demo.watches[name] = home.app.watch()


def join_home(home):
    found = home.found(home.couriers)
    return found, home.pair_devices(), home


def setup_code(label):
    """The secret inside a label's text (core/membership/label.h): 32 bytes before the checksum."""
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    bits = "".join(f"{alphabet.index(char):05b}" for char in label.split(":", 1)[1])
    data = bytes(int(bits[at:at + 8], 2) for at in range(0, len(bits) - 7, 8))
    length = 2 + data[1]
    begin = length + 1 + data[length] + 32
    return data[begin:begin + 32]


def readings(demo):
    screen = demo.screen
    screen.stage("Live readings on the phones", "The phone opens what the devices sealed, checks each sender's signature over it, and "
                 "calls a stream live only when its sender has just echoed the phone's own random probe.")
    rows = []
    live = True
    for name, home in demo.homes.items():
        watch = demo.watches[name]
        for device in home.devices:
            records = watch.wait_readings(device, 2)
            try:
                watch.wait_for("state", lambda e, d=device: e["device"] == d and e["topic"].startswith("telemetry/") and
                               e["liveness"] == "live" and e["confirmed"] > 0, 8)
                state = "live, confirmed"
            except harness.Failure:
                live, state = False, "NOT live"
            for reading in records[-1]["readings"][:2]:
                channel = "(planted text)" if reading["channel"] == demo.canary else reading["channel"]
                rows.append((f"{name}'s phone", device, channel, f"{reading['value']:.2f} {reading['unit']}", state))
    screen.table(("where", "device", "what", "value", "state"), rows)
    demo.checks.check("path.readings_arrive", len(rows) >= 8, "readings of all devices opened and verified at their owner's phone")
    demo.checks.check("path.streams_live", live, "every device answered its owner's own probe")
    quiet = [(name, alarm["kind"]) for name, watch in demo.watches.items() for alarm in watch.alarms()]
    evidence = gather(demo)  # from here on every alarm needs an attack
    quiet += [(who, entry["kind"]) for who, entry in evidence.elsewhere if not not_named_yet(entry)]
    quiet += [(who, kind) for place, found in evidence.alarms.items() for who, kind in found if evidence.delivered[place] != 1]
    evidence.alarms.clear()
    evidence.elsewhere.clear()
    demo.checks.check("path.quiet_without_attacks", not quiet,
                      f"no alarm at phones, devices, gateways and backend while nobody attacks {quiet[:3] or ''}")


def not_named_yet(entry):
    """A gateway asks for the membership until it is let in: whoever carries that is refused until it was named, too."""
    return entry["kind"] == "not_permitted" and entry.get("topic") == "keyring" or \
        entry.get("detail", "").startswith(("epoch is not known", "nobody writes this topic"))


def command(demo):
    demo.screen.stage("The bulb, switched from the phone", "The command is signed by the owner, sealed, good for this boot of this bulb "
                      "and for seconds only; the bulb answers with the hash of what it did, signed.")
    home, watch = demo.homes["acme"], demo.watches["acme"]
    start = watch.events.mark()
    lines = home.app.send("bulb", "on")
    demo.commands += sent_in(lines)
    answer = [line for line in lines if line["event"] == "answer"][0]
    seen = watch.wait_for("record", lambda e: e["kind"] == "answer" and e["answer"]["command"] == answer["command"], start=start)
    demo.screen.say(f"bulb: {answer['result']} after {answer['round_trip_ms']:.0f} ms; its signed answer names command "
                    f"{answer['command'][:16]}…")
    demo.checks.check("command.done_and_answered", answer["result"] == "done" and seen["confirmed"],
                      "the bulb did it once and its signed answer reached both the sender and the watching phone")


def eavesdropper(demo):
    demo.screen.stage("What the equipment in between can see", "The balancers hold valid credentials and see every message. Here is what "
                      "that gives them: names of streams, sizes, times; and ciphertext without a pattern.")
    seen = demo.world.wan.seen(1)
    demo.screen.say(f"the wide-area balancers alone carried {seen['records']} records, {seen['cose_bytes']} bytes of COSE objects")
    kids, repeated, records = collections.defaultdict(set), 0, 0
    for lines in demo.pool.map(lambda home: home.app.call("raw", "--last", "40", hop=demo.world.backend), demo.homes.values()):
        held = held_under_keys(lines)
        records += len(held)
        for record in held:
            kids[record["kid"]].add((record["instantiation"], record["stream"]))
        repeated += len(repetitions(held))
    streams = {stream for found in kids.values() for stream in found}
    demo.checks.check("seal.nonce_unique", records >= 40 and repeated == 0,
                      f"of {records} records none begins like another of its stream, although their plaintexts do "
                      f"({repeated} repetitions)")
    demo.checks.check("seal.key_per_stream", len(streams) >= 7 and all(len(found) == 1 for found in kids.values()),
                      f"{len(streams)} streams name {len(kids)} different keys")
    binding(demo)


def binding(demo):
    """Real records, key held constant, one outer field changed: does the seal itself notice?"""
    found = {}  # field → [records tried, opened all the same, whether each home says it is bound]
    for lines, _ in demo.pool.map(lambda home: home.app.call("verify-binding", hop=demo.world.backend, check=False),
                                  demo.homes.values()):
        for line in lines:
            if line["event"] == "binding":
                sums = found.setdefault(line["field"], [0, 0, []])
                sums[0] += line["records"]
                sums[1] += line["opened"]
                sums[2].append(line["bound"] and line["records"] > 0)
    for field, (records, opened, bound) in found.items():
        demo.checks.check(f"seal.{field}_bound", len(bound) == len(demo.homes) and all(bound),
                          f"{records} records of {len(bound)} homes, their keys at hand: {opened} open under another {field}")


def other_tenant(demo):
    """A balancer that carries acme's requests to the backend under globex's valid certificate."""
    demo.screen.stage("Another tenant asks", "A certificate of one tenant, however valid, must open nothing of another's, and must not even "
                      "tell whether it exists. Here somebody asks for acme's streams with a good certificate of globex.")
    world, app = demo.world, demo.homes["acme"].app
    server = world.pki.provider_leaf("mixed-up")
    thief = world.pki.leaf(GLOBEX, "gateway", "thief")
    # The same box, the same way, the same questions; only the certificate shown to the backend differs.
    box = Infra(demo.stack, world.pki, "mixed-up", [
        Balancer("thief", server, world.pki.admission, {ACME: (thief, world.backend)}),
        Balancer("rightful", server, world.pki.admission, {ACME: (world.couriers[ACME][2], world.backend)})])
    stolen, rightful = (Hop(box.process, port, server.spiffe, world.pki.provider_roots) for port in ("thief", "rightful"))
    demo.expected_peers.add(thief.spiffe)
    member = demo.watches["acme"].records("readings")[0]["sender"]

    def ask(topic, through):
        return demo.stack.run("keystead-mobile-stub", *app.arguments(through), "--quiet", "raw", "--wait", "1", "--topic", topic,
                              check=False)
    real, invented, control = demo.pool.map(ask, (f"telemetry/{member}", f"telemetry/{secrets.token_hex(16)}", f"telemetry/{member}"),
                                            (stolen, stolen, rightful))
    given = f"is given {real.stdout.count('held')} records"
    demo.screen.say(f"under globex's certificate, acme's telemetry: {real.stderr.strip() or given}")
    demo.screen.say(f"under globex's certificate, what does not exist: {invented.stderr.strip()}")
    demo.checks.check("tenancy.control", control.returncode == 0 and '"held"' in control.stdout,
                      f"through the same box under a certificate of acme the same question is given {control.stdout.count('held')} records")
    demo.checks.check("tenancy.foreign_refused", real.returncode != 0 and '"held"' not in real.stdout,
                      "under another tenant's certificate nothing is given")
    demo.checks.check("tenancy.no_oracle", '"held"' in real.stdout or real.stderr == invented.stderr,
                      "and what is refused reads like what does not exist")
    box.process.terminate()


def start_beside(demo, control):
    """The power cuts, and the control of the search, while the rest plays."""
    demo.power_cuts = demo.pool.submit(demo.stack.run, "keystead-storage-crash", "--rounds", "12", check=False, patience=120)
    demo.control = demo.pool.submit(control)


def power_cut(demo):
    demo.screen.stage("Power cuts", "A killed process keeps its page cache, a power cut does not. This one is shown beside the running product: "
                      "keystead-storage-crash is a program of its own around the store that backend and gateway keep their "
                      "records in. There the disk loses every write that was not synced, at random points, and the store "
                      "must still have whatever it had acknowledged.")
    result = demo.power_cuts.result()
    text = (result.stdout.strip().splitlines() or result.stderr.strip().splitlines() or ["no output"])[-1]
    demo.screen.say(f"keystead-storage-crash: {text}")
    demo.checks.check("durability.power_cut", result.returncode == 0,
                      "nothing that the store had acknowledged is lost (measured in that program, not in the processes above)")
