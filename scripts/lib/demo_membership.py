"""The demonstration's attacks on joining and on membership: announcement, M1, M2, commits and probes, while real devices join,
and what the victims say. None may end with a stranger in a home, and none in silence."""

import concurrent.futures

import harness
from demo_attacks import Injection
from world import listener_of

# Which message of joining is attacked in which home, and where it passes the LAN's balancer: towards the device M1 alone,
# from the device first its announcement and then M2.
JOINING = {"M1": ("acme", "down"), "M2": ("cabin", "up"), "announcement": ("globex", "up")}
KINDS = [("modify", "cose_ciphertext"), ("drop", None), ("replay", None), ("forge", None)]
WAIT = 2  # seconds that a phone waits for a device


class Story:
    """One attack on one message, and how it ended."""

    def __init__(self, message, kind, where):
        self.message = message
        self.kind = kind
        self.where = where
        self.injections = []
        self.ending = None  # "joined" or "failed", "refused", "done", …: what the table shows
        self.by = ""
        self.why = ""

    def end(self, ending, by, why):
        self.ending, self.by, self.why = ending, by, why
        for injection in self.injections:
            injection.verdict = {"refused": "refused", "failed": "noticed", "noticed": "noticed", "held up": "noticed"}.get(ending, "harmless")
            injection.by, injection.why = by, why
        return self


def attack(box, listener, direction, topic, kind, target, count=1):
    return box.plan([{"kind": kind, "target": target, "listener": listener, "direction": direction, "topic": topic, "count": count,
                      # Of a single drop the call ends soon after. Where all is withheld it stays up: what passes on it later hides
                      # from the reader that something before is missing, and it has to find that out by itself.
                      "delay_ms": 300 if kind == "drop" and count else None}])[0]


def made(box, hop, number):
    """What the equipment says it did; waits until it has."""
    try:
        harness.wait_until(lambda: box.injections(number), "the attack to be made", 5)
    except harness.Failure:
        box.disarm(number)
    found = [Injection(hop, "membership", raw) for raw in box.injections(number)]
    return found


def start_late(demo, home, name):
    return home.start_device(name, "temperature", "--interval", "0.5", hop=home.device_hop)


def end_late(demo):
    """Whoever came late has played its part, and is switched off before it is removed."""
    demo.stack.stop(processes=[process for name, process in demo.stack.processes.items() if name.startswith("late-")])


def joining_of(demo, message):
    """All attacks on one message of joining, one after the other, each on a device of its own."""
    home_name, direction = JOINING[message]
    home = demo.homes[home_name]
    box, listener = demo.world.infra("device-gateway", "balancer"), listener_of("device-gateway", home_name)
    names = {kind: f"late-{home_name}-{kind}" for kind, _ in KINDS}
    devices = {}
    if message != "announcement":
        devices = {kind: start_late(demo, home, name) for kind, name in names.items()}
        for device in devices.values():
            device.process.wait_for("pairing", lambda entry: entry["step"] == "announced")
    stories = []
    for kind, target in KINDS:
        number = attack(box, listener, direction, "rendezvous", kind, "cose_tag" if message == "announcement" and target else target)
        if message == "announcement":
            devices[kind] = start_late(demo, home, names[kind])
            devices[kind].process.wait_for("pairing", lambda entry: entry["step"] == "announced")
        device = devices[kind]
        lines, result = home.app.call("pair", "--wait", WAIT, "--label-file", device.wait_label(), check=False)
        story = Story(message, kind, home_name)
        story.injections = made(box, "device-gateway", number)
        stories.append(judge_joining(demo, home, device, story, lines, result))
    return stories


def judge_joining(demo, home, device, story, lines, result):
    """It joined, and then it is this very device; or it did not, and then the phone said so."""
    refused = [f"{home.name}'s phone: {line['detail']}" for line in lines
               if line.get("event") == "progress" and line.get("step") == "refused"]
    refused += [f"{device.name}: {entry['detail']}" for entry in
                device.process.log.find("security", lambda entry: entry["kind"] == "join_refused")]
    why = refused[0] if refused else ""
    outcome = next((line for line in lines if line.get("event") == "paired"), None)
    if outcome and [one["device"] for one in outcome["paired"]] == [device.name]:
        joined = device.wait_joined()
        if (joined["member"], joined["instantiation"]) == (outcome["paired"][0]["member"], home.instantiation):
            home.devices_joined_late[device.name] = device
            return story.end("joined", device.name, why or "joined all the same")
        return story
    said = result.stderr.strip()
    if result.returncode != 0 and device.name in said and ("reset it" in said or "announce" in said or "not deliver" in said):
        return story.end("failed", f"{home.name}'s phone", why or said)
    return story


def strangers_in(home):
    """Members of the roster who are neither the gateway, a courier that was named, the phone, nor a device that says itself that it
    joined this home under this member id."""
    known = {home.app.leaf.spiffe, home.gateway.spiffe, *home.couriers}
    own = {device.wait_joined()["member"]: device.name for device in [*home.devices.values(), *home.devices_joined_late.values()]}
    return [f"{home.name}: {member['device']}" for member in home.app.call("members")[0]["members"]
            if member["transport"] not in known and own.get(member["member"]) != member["device"]]


def no_stranger(demo):
    return [one for home in demo.homes.values() for one in strangers_in(home)]


def joining(demo):
    screen = demo.screen
    screen.stage("A hostile balancer while devices join", "More devices join while the equipment on their LAN modifies, drops, replays or forges "
                 "each message by which phone and device find each other. Each try must end with this very device in this very home, or with the phone "
                 "saying that it failed.")
    before = len(demo.injections)
    for home in demo.homes.values():
        home.devices_joined_late = {}
    screen.say("M1 is the phone's sealed invitation, M2 the device's sealed answer; the announcement, which comes first, is signed")
    tries = [demo.pool.submit(joining_of, demo, message) for message in JOINING]
    stories = []
    for one in concurrent.futures.as_completed(tries):
        ended = one.result()
        stories += ended
        screen.say(f"{ended[0].message}, in the home {ended[0].where}: " +
                   "; ".join(f"{story.kind} → {ENDING.get(story.ending, 'NO ANSWER')}" for story in ended))
    demo.stories += stories
    demo.injections += [injection for story in stories for injection in story.injections]
    unmade = [f"{story.message}: {story.kind}" for story in stories if not story.injections]
    demo.checks.check("attack.all_injected", not unmade, f"every attack planned on a message of joining was really made {unmade or ''}")
    silent = [f"{story.message}: {story.kind}" for story in stories if story.ending is None]
    demo.checks.check("join.attacked_is_loud_or_honest", not silent and len(stories) == len(JOINING) * len(KINDS),
                      f"{len(demo.injections) - before} messages of joining attacked in {len(stories)} tries: each ended with the right "
                      f"device, or with the phone saying it did not {silent or ''}")
    strange = no_stranger(demo)
    demo.checks.check("join.no_stranger", not strange, f"and no roster names anybody who was not invited {strange or ''}")


ENDING = {"joined": "joined all the same", "failed": "failed, and said so", "refused": "refused", "done": "done once, all the same",
          "held up": "named as waited for", "noticed": "noticed"}


def registry(demo, home, kind, target, victim):
    """An attack on the commit that the phone hands in."""
    box = demo.world.infra("backend-app", "balancer")
    mark = demo.world.backend.process.log.mark()
    number = attack(box, "backend-app", "up", "registry", kind, target)
    lines, result = home.app.call("remove", victim, "--wait", "0", check=False)
    story = Story("commit", kind, home.name)
    story.injections = made(box, "backend-app", number)

    def answers():
        return demo.world.backend.process.log.find(
            "security", lambda entry: entry["kind"] in ("commit_refused", "fork") and
            entry["instantiation"] == home.instantiation, mark)
    done = next((line for line in lines if line.get("event") == "removed"), None)
    if kind == "replay":  # an old commit is known already: the answer is the old one, and nothing changes
        refused = next((one.refused_reason for one in story.injections if one.refused_code), None)
        if done:  # the owner's own went through beside it; whether another one counted, the epoch will tell
            story.end("refused" if refused else "done", "backend", refused or "knows that commit")
        return story, done
    try:
        refused = harness.wait_until(answers, "the backend to refuse the commit", 3)[0]
        if (done is None) == (kind == "modify"):
            story.end("refused", "backend", refused["detail"])
    except harness.Failure:
        pass
    return story, done


def membership(demo):
    screen, home = demo.screen, demo.homes["acme"]
    screen.stage("A hostile balancer while the membership changes", "The owner removes devices; every such change is a signed commit and "
                 "starts an epoch with new keys. The equipment spoils, replays, forges and withholds commits, and tampers "
                 "with the probes by which the phone tells live from old.")
    end_late(demo)
    late = list(home.devices_joined_late)
    epoch = home.app.status_epoch()
    stories = []
    story, done = registry(demo, home, "modify", "cose_tag", late[0])
    stories.append(story)
    screen.say(f"a commit with a spoilt signature: the backend answers '{story.why}', the phone says that it is not confirmed, and keeps it")
    # The same again, and a commit of the attacker's own beside it; the devices, meanwhile, are told nothing.
    lan, listener = demo.world.infra("device-gateway", "balancer"), listener_of("device-gateway", "acme")
    withheld = attack(lan, listener, "down", "keyring", "drop", None, 0)
    story, done = registry(demo, home, "forge", None, late[0])
    stories.append(story)
    screen.say(f"a commit that the attacker signed: '{story.why}'; the owner's own beside it is taken")
    waiting = withheld_commit(demo, home, lan, listener, withheld, late[1], stories)
    story, done = registry(demo, home, "replay", None, late[2])
    stories.append(story)
    now = home.app.status_epoch()
    for name, device in home.devices.items():
        demo.watches["acme"].wait_for("record", lambda e, d=name: e["device"] == d and e["epoch"] == now, 15)
    screen.say(f"an old commit again: nothing changes; the home is in epoch {now}, and every device has followed")
    stories += probes(demo, home, lan, listener)
    finish(demo, stories, epoch, now, waiting)


def withheld_commit(demo, home, lan, listener, withheld, victim, stories):
    """The devices do not get to see the commit: the phone names whom it waits for, until they do."""
    removed = next(line for line in home.app.call("remove", victim, "--wait", "1.5") if line["event"] == "removed")
    waiting = set(removed["waiting"]) & set(home.devices)
    story = Story("commit", "drop", "acme")
    story.injections = [one for one in made(lan, "device-gateway", withheld)]
    stories.append(story)
    forged = attack(lan, listener, "down", "keyring", "forge", "sequence", 2)
    lan.disarm(withheld)
    demo.screen.say(f"commits withheld from the devices: the phone says it waits for {', '.join(sorted(removed['waiting']))}")
    story = Story("keyring", "forge", "acme")
    for name in home.devices:
        demo.watches["acme"].wait_for("record", lambda e, d=name: e["device"] == d and e["epoch"] >= removed["epoch"], 15)
    story.injections = made(lan, "device-gateway", forged)
    stories.append(story)
    if waiting == set(home.devices):
        stories[-2].end("held up", "acme's phone", f"waiting for {', '.join(sorted(waiting))}; they followed as soon as they were told")
    return waiting


def probes(demo, home, lan, listener):
    """Old probes again, and spoilt ones."""
    stories = []
    for kind, target, count in (("replay", None, 4), ("modify", "cose_tag", 1)):
        number = attack(lan, listener, "down", "keyring", kind, target, count)
        lan.wait_spent([number], 12, lambda _: home.app.call("status", "--wait", "0.2"))  # asks for signs of life: more probes
        story = Story("keyring", kind, "acme")
        story.injections = made(lan, "device-gateway", number)
        lan.disarm(number)
        stories.append(story)
    return stories


def judge_keyring(demo, stories):
    """Each forged or spoilt keyring record is refused by a member at its place; an old one changes nothing."""
    def evidence_of(injection):
        for name, device in demo.homes["acme"].devices.items():
            for entry in device.process.log.find("security"):
                if (entry.get("stream"), entry.get("sequence", 0)) in (injection.genuine, injection.placed) and \
                        entry.get("topic") == "keyring":
                    return name, entry["kind"]
        return None
    for story in stories:
        if story.message != "keyring":
            continue
        for injection in story.injections:
            if story.kind == "replay":
                injection.verdict, injection.by, injection.why = "harmless", "every device", "answers the newest probe only"
                continue
            try:
                injection.by, injection.why = harness.wait_until(lambda i=injection: evidence_of(i), "a device to refuse it", 5)
                injection.verdict = "noticed"
            except harness.Failure:
                pass
        if story.injections and all(injection.verdict for injection in story.injections):
            story.ending, story.by = ("done" if story.kind == "replay" else "noticed"), story.injections[0].by
            story.why = story.injections[0].why


def finish(demo, stories, before, now, waiting):
    home = demo.homes["acme"]
    judge_keyring(demo, stories)
    demo.stories += stories
    demo.injections += [injection for story in stories for injection in story.injections]
    unmade = [f"{story.message}: {story.kind}" for story in stories if not story.injections]
    demo.checks.check("attack.all_injected", not unmade, f"every attack planned on commits and keyring was really made {unmade or ''}")
    unanswered = [f"{story.message}: {story.kind}" for story in stories if story.ending is None]
    demo.checks.check("membership.attacks_answered", not unanswered,
                      f"spoilt and forged commits are refused by the backend, forged keyring records by the devices {unanswered or ''}")
    demo.checks.check("membership.withheld_is_named", waiting == set(home.devices),
                      "while a commit is withheld the phone names every device it waits for")
    demo.checks.check("membership.only_the_owners_commits", now == before + 3,
                      f"three changes were made by the owner and the epoch rose by {now - before}: no other commit counted")
    start = demo.watches["acme"].events.mark()
    live = []
    for name in home.devices:
        try:
            demo.watches["acme"].wait_for("state", lambda e, d=name: e["device"] == d and e["topic"].startswith("telemetry/") and
                                          e["liveness"] == "live" and e["current"], 8, start)
            live.append(name)
        except harness.Failure:
            pass
    demo.checks.check("membership.probes_cannot_be_replayed", len(live) == len(home.devices),
                      "after old and spoilt probes every device still answers the phone's newest one")
    strange = no_stranger(demo)
    demo.checks.check("join.no_stranger", not strange, f"no roster names anybody who was not invited {strange or ''}")
