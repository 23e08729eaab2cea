"""The three lists against each other: injected, refused or noticed, and what arrived."""

import collections

from demo_attacks import HARMLESS
from demo_battle import HOME, gather


class Explanations:
    """Which alarms the attacks explain. An alarm without one is a false alarm, or an attack that nobody admits."""

    # Said about a later record of a stream in which something before was swallowed or spoilt.
    LATER = {"hash_chain_broken", "stale", "tail_unknown", "limit_exceeded"}
    # Said without a record: about a connection, a commit, a joining.
    OF_CONNECTIONS = {"peer_refused", "handshake_failed"}
    CUT_OFF = "handshakes: connections ended before TLS: 0 above what an address may ask for"
    # A gateway that has not seen the newest commit yet turns a newcomer away, who comes again.
    BEHIND = ("epoch is not known", "nobody writes this topic")
    OF_TOPICS = {"commit_refused": "registry", "fork": "registry", "join_refused": "rendezvous"}

    def __init__(self, injections, extra, evidence, given_up=frozenset()):
        self.delivered = evidence.delivered
        self.places = {place for injection in injections for place in (injection.genuine, injection.placed) if place}
        self.first = {}  # stream → the first sequence that was attacked
        for stream, sequence in self.places:
            self.first[stream] = min(sequence, self.first.get(stream, sequence))
        self.forms = {injection.form for injection in injections}
        self.topics = collections.Counter(injection.topic for injection in injections)
        self.extra = extra  # peers of whom a stage itself asked for a refusal
        self.given_up = given_up  # streams that never left their sender, which says so

    def of_record(self, place, who, kind):
        if place in self.places or (kind in self.LATER and place[0] in self.first and self.first[place[0]] <= place[1]):
            return True
        if kind == "missing" and place[0] in self.given_up:
            return True
        return kind == "not_permitted" and who.endswith("-gateway") and self.delivered[place] == 1

    def elsewhere(self, who, entry):
        kind = entry["kind"]
        if entry.get("peer") in self.extra:
            return True
        if kind == "not_permitted" and who.endswith("-gateway") and entry.get("detail", "").startswith(self.BEHIND):
            return True
        if kind == "not_permitted" and entry.get("detail", "").startswith("registry: "):
            return self.topics["registry"] > 0  # a commit of another home, replayed where it does not belong
        if kind == "command_refused":  # an answer that was signed: demo_commands has judged it
            return self.topics[entry.get("topic")] > 0
        # A wire swallowed the beginning of a connection: its other end counts one that did not go on. None too many may come.
        cut_off = kind == "limit_exceeded" and entry.get("detail", "").startswith(self.CUT_OFF)
        if kind in self.OF_CONNECTIONS or cut_off:
            return "tcp" in self.forms
        wanted = self.OF_TOPICS.get(kind)
        if wanted is not None:
            return self.topics[wanted] > 0 or (wanted == "registry" and self.topics["keyring"] > 0)
        return False


def agree(demo):
    demo.screen.stage("Do the three agree, record by record?", "What the attackers say they did, what was refused or noticed, and what arrived at the "
                      "phones must tell the same story: no attack without an answer, no alarm without an attack.")
    evidence = gather(demo)
    silent = [injection for injection in demo.injections if injection.verdict is None]
    demo.checks.check("attack.every_one_answered", not silent and demo.injections,
                      f"{len(demo.injections)} records were attacked; {len(silent)} of them remained without an answer "
                      f"{'; '.join(map(str, silent[:3]))}".rstrip())
    # Of records, which have a place; what became of messages of joining and of commits, their stages have judged.
    claimed = [injection for injection in demo.injections if injection.refused_code and injection.form == "balancer"]
    confirmed = [injection for injection in claimed if injection.verdict == "refused"]
    demo.checks.check("attack.refusals_agree", claimed and confirmed == claimed,
                      f"{len(claimed)} were refused, as the attackers say; of {len(confirmed)} the refusing hop's own log says the same, "
                      "with stream and sequence")
    twice = [place for place, times in evidence.delivered.items() if times > 1]
    demo.checks.check("delivery.once", not twice, f"{len(evidence.delivered)} records reached the phones' readers, {len(twice)} of them twice")
    done = [(entry["signer"], entry["counter"]) for entry in demo.homes[HOME].devices["bulb"].process.log.find("command_done")]
    demo.checks.check("command.once", done and len(done) == len(set(done)),
                      f"the bulb did {len(done)} commands, none of them twice, although many came more than once")
    no_false_alarm(demo, evidence)
    spoilt = {place for injection in demo.injections if injection.kind not in HARMLESS or injection.direction == "down"
              for place in (injection.genuine, injection.placed) if place}
    lost = [(stream, first, last, who) for stream, gaps in evidence.missing.items() for first, last, who in gaps
            if not all((stream, sequence) in spoilt for sequence in range(first, last + 1))]
    demo.checks.check("delivery.no_gap_without_attack", not lost, f"every record that is missing was swallowed or spoilt {lost[:1] or ''}")


def no_false_alarm(demo, evidence):
    """Every alarm of every kind, of every process: it names a record that was attacked, or comes from one."""
    explained = Explanations(demo.injections, demo.expected_peers, evidence, demo.given_up)
    of_records = [(place, who, kind) for place, found in evidence.alarms.items() for who, kind in found]
    strange = [(who, kind, f"{place[0][:8]}#{place[1]}") for place, who, kind in of_records if not explained.of_record(place, who, kind)]
    strange += [(who, entry["kind"], entry.get("detail", "")) for who, entry in evidence.elsewhere if not explained.elsewhere(who, entry)]
    kinds = collections.Counter(kind for _, _, kind in of_records)
    kinds.update(entry["kind"] for _, entry in evidence.elsewhere)
    demo.checks.check("attack.no_alarm_without_attack", not strange,
                      f"{sum(kinds.values())} alarms of {len(kinds)} kinds rang; {len(strange)} of them about something that nobody attacked "
                      f"{strange[:3] or ''}")
