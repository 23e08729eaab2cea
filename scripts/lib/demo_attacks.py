"""The attacks of the demonstration, what the equipment says it did, and who noticed each single record of it."""

import base64
import collections

# What is armed, in this order: kind, target.
OUTER = ("tenant", "instantiation", "topic", "sender", "epoch", "stream", "sequence")
COSE = ("cose_protected", "cose_kid", "cose_partial_iv", "cose_ciphertext", "cose_tag")
RECORD_ATTACKS = (
    [("read", None)] + [("modify", target) for target in OUTER + COSE] +
    [("ack_and_drop", None), ("delay", None), ("reorder", None), ("duplicate", None), ("replay", None)] +
    [("splice", target) for target in OUTER] +
    [("truncate", target) for target in (None, "cose_ciphertext", "cose_tag")] +
    [("forge", target) for target in (None, "sequence", "stream", "cose_protected")] +
    # At the end: with it the call ends, and what else was under way in it never arrives.
    [("drop", None)])
WIRE_ATTACKS = [("read", None), ("modify", None), ("drop", None), ("delay", None), ("reorder", None), ("duplicate", None),
                ("replay", None), ("splice", None), ("truncate", None), ("forge", None), ("ack_and_drop", None)]

# What an honest network may do as well: nothing has to be refused, but every record must come once and in its place.
HARMLESS = ("read", "drop", "delay", "reorder", "duplicate", "replay")
MEANING = {
    "read": "read what passes", "modify": "change one field", "drop": "swallow it, unacknowledged", "delay": "hold it back",
    "ack_and_drop": "acknowledge it, then swallow it", "reorder": "swap it with the next", "duplicate": "send it twice",
    "replay": "send an old one again", "splice": "put it in another's place", "truncate": "cut it short",
    "forge": "send one of its own",
}


def _hex(text):
    return base64.b64decode(text or "").hex()


def place_of(header, sequence):
    return (_hex(header.get("stream")), int(sequence or 0))


def _record(header, place, sha256):
    """All that the next hop sees of one record: two are the same when this is."""
    return (*(header.get(field, "") for field in ("tenant", "instantiation", "topic", "sender")), int(header.get("epoch") or 0), place, sha256)


class Injection:
    """One record that was attacked, as the equipment itself logged it."""

    def __init__(self, hop, form, raw):
        self.hop = hop
        self.form = form
        self.attack = int(raw["attack"])
        self.kind = raw["kind"].removeprefix("ATTACK_").lower()
        target = raw.get("target", "TARGET_UNSPECIFIED").removeprefix("TARGET_").lower()
        self.target = None if target == "unspecified" else target
        self.direction = raw.get("direction", "")
        self.tenant = raw.get("tenant", "")
        self.instantiation = _hex(raw.get("instantiation"))
        self.topic = raw.get("topic", "")
        self.sender = _hex(raw.get("sender"))
        self.epoch = int(raw.get("epoch") or 0)
        self.genuine = place_of(raw, raw.get("sequence"))
        placed = raw.get("placed")
        self.placed = place_of(placed, raw.get("placed_sequence")) if placed else None
        self.placed_epoch = int(placed.get("epoch") or 0) if placed else None
        self.placed_instantiation = _hex(placed.get("instantiation")) if placed else ""
        self.injected_sha256 = _hex(raw.get("injected_sha256"))
        self.original_sha256 = _hex(raw.get("original_sha256"))
        self.found = _record(raw, self.genuine, self.original_sha256)  # what came, and what was put there instead
        self.left = _record(placed, self.placed, self.injected_sha256) if placed else None
        self.refused_code = int(raw.get("refused_code", 0))
        self.refused_reason = raw.get("refused_reason", "")
        self.detail = raw.get("detail", "")
        self.verdict = None  # "refused", "noticed", "harmless"; "twice": it worked
        self.by = ""         # who, and how
        self.why = ""

    def name(self):
        return self.kind + (f" {self.target}" if self.target else "")

    def __str__(self):
        return (f"{self.hop}/{self.form} {self.direction} {self.name()} of {self.topic} {self.genuine[0][:8]}#{self.genuine[1]}"
                + (f" placed at {self.placed[0][:8]}#{self.placed[1]}" if self.placed else "") + f" ({self.detail})")


class Evidence:
    """What everybody noticed, indexed by (stream, sequence): alarms, gaps, duplicates, deliveries."""

    def __init__(self):
        self.alarms = collections.defaultdict(list)   # place → [(who, kind)]
        self.answered = set()                         # (place, index in alarms): one alarm answers for one injection
        self.elsewhere = []                           # alarms about no record: (who, the whole entry)
        self.missing = collections.defaultdict(list)  # stream → [(first, last, who)]
        self.duplicates = collections.defaultdict(list)
        self.delivered = collections.Counter()
        self._cursors = {}

    def _alarm(self, who, entry):
        if entry.get("stream"):
            self.alarms[(entry["stream"], entry.get("sequence", 0))].append((who, entry["kind"]))
        else:
            self.elsewhere.append((who, entry))

    def begin_at_the_end_of(self, log):
        """What stands there already is of before."""
        self._cursors[id(log)] = len(log.read())

    def take_security_log(self, who, log):
        """Security events of one process's log that are new since the last call."""
        start = self._cursors.get(id(log), 0)
        entries = log.read()
        self._cursors[id(log)] = len(entries)
        for entry in entries[start:]:
            if entry.get("event") == "security":
                self._alarm(who, entry)

    def take_watch(self, who, events):
        start = self._cursors.get(id(events), 0)
        entries = events.read()
        self._cursors[id(events)] = len(entries)
        for entry in entries[start:]:
            event = entry.get("event")
            if event == "record":
                self.delivered[(entry["stream"], entry["sequence"])] += 1
            elif event == "alarm":
                self._alarm(who, entry)
            elif event == "missing":
                self.missing[entry["stream"]].append((entry["first"], entry["last"], who))
            elif event == "duplicate":
                self.duplicates[(entry["stream"], entry["sequence"])].append(who)

    def gap_at(self, place):
        for first, last, who in self.missing.get(place[0], ()):
            if first <= place[1] <= last:
                return who
        return None

    def about(self, injection):
        """All that is known of one record, for whoever has to find out why nobody answered for it."""
        places = sorted({place for place in (injection.genuine, injection.placed) if place})
        known = [f"#{place[1]}: delivered {self.delivered.get(place, 0)}, alarms {self.alarms.get(place, [])}" for place in places]
        return f"answer {injection.refused_code} {injection.refused_reason!r}; " + "; ".join(known)

    def refusal_at(self, place, hop):
        """What the hop's own log says about turning away a record at this place; None where it says nothing."""
        return next((kind for who, kind in self.alarms.get(place, ()) if who == hop and kind in REFUSALS), None)


# What a hop reports when it turns a record away, and what a reader or member reports about one it was given.
REFUSALS = {"not_permitted", "malformed", "limit_exceeded", "conflict"}
ALARMS = {"open_failed", "signature_invalid", "replay", "conflict", "malformed", "commit_refused", "command_refused", "missing",
          "hash_chain_broken", "fork", "limit_exceeded", "not_permitted", "cloned_or_rolled_back"}


def judge(injection, evidence, hop, taken=(), spoiled=()):
    """True when this record is accounted for: refused by the next hop (whose log is called `hop`), noticed at exactly its
    place, or without effect. The attacker's word that it was refused is not enough: the hop's own log must say so, too.
    `taken`: places at which another injection put something; an alarm there says nothing about a harmless one.
    `spoiled`: records as other injections left them. Such a one may come by once more, and has to open for nobody: whoever
    spoiled it is accounted for by himself."""
    if injection.kind == "read":
        if injection.detail == "no canary found":
            injection.verdict, injection.why = "harmless", injection.detail
        return injection.verdict is not None
    refused = injection.placed and evidence.refusal_at(injection.placed, hop)
    if injection.refused_code:
        if refused:
            injection.verdict, injection.by, injection.why = "refused", hop, f"{injection.refused_reason}; its log: {refused}"
        return bool(refused)
    if injection.kind in HARMLESS and evidence.delivered.get(injection.genuine, 0) == 1:
        by = evidence.duplicates.get(injection.genuine)
        injection.verdict, injection.by = "harmless", (by[0] if by else "")
        injection.why = "recognised as a duplicate" if by else "came once, in its place"
        return True
    if injection.kind in HARMLESS and evidence.delivered.get(injection.genuine, 0) > 1:
        injection.verdict, injection.why = "twice", "delivered more than once"  # delivery.once fails on it
        return True
    if injection.kind in HARMLESS and injection.found in spoiled:
        injection.verdict, injection.why = "harmless", "was spoiled on its way here; it opened for nobody"
        return True
    for place in (injection.placed, injection.genuine):
        if injection.kind in HARMLESS and place in taken:
            continue  # the alarm is about what somebody else put there; this one has to come, or be missed
        for index, (who, kind) in enumerate(evidence.alarms.get(place, ())):
            if kind in ALARMS and (place, index) not in evidence.answered:
                evidence.answered.add((place, index))
                injection.verdict, injection.by, injection.why = "noticed", who, kind
                return True
    who = evidence.gap_at(injection.genuine)
    if who:
        injection.verdict, injection.by, injection.why = "noticed", who, "missing"
    return who is not None
