#!/usr/bin/env python3
"""The demonstration's own judgement, without processes: with a protection off, or an attack not made, it must not say "pass"."""

import base64
import io
import contextlib
import pathlib
import sys
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/lib"))

import demo
import demo_battle
import demo_keys
from demo_agree import Explanations
from demo_attacks import Evidence, Injection, judge
from demo_commands import Commands, Sent
from demo_report import Assertions, Screen

STREAM = "aa" * 16
OTHER = "bb" * 16


def b64(hexadecimal):
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def injection(kind="modify", sequence=3, placed=(STREAM, 3), refused=0, topic="telemetry/x", form="balancer", detail="", came="", left=""):
    raw = {"attack": "1", "kind": f"ATTACK_{kind.upper()}", "stream": b64(STREAM), "sequence": str(sequence), "topic": topic,
           "direction": "up", "refused_code": refused, "refused_reason": "said so", "detail": detail,
           "original_sha256": b64(came), "injected_sha256": b64(left)}
    if placed:
        raw |= {"placed": {"stream": b64(placed[0]), "topic": topic}, "placed_sequence": str(placed[1])}
    return Injection("gateway-backend", form, raw)


class JudgeTest(unittest.TestCase):
    def test_a_refusal_that_only_the_attacker_claims_is_no_answer(self):
        one, evidence = injection(refused=7), Evidence()
        self.assertFalse(judge(one, evidence, "backend"))
        evidence.alarms[(STREAM, 4)].append(("backend", "not_permitted"))  # of another record
        evidence.alarms[(STREAM, 3)].append(("acme-gateway", "not_permitted"))  # by another hop
        self.assertFalse(judge(one, evidence, "backend"))
        self.assertIsNone(one.verdict)
        evidence.alarms[(STREAM, 3)].append(("backend", "not_permitted"))
        self.assertTrue(judge(one, evidence, "backend"))
        self.assertEqual((one.verdict, one.by), ("refused", "backend"))

    def test_what_was_changed_and_delivered_without_an_alarm_is_no_answer(self):
        one, evidence = injection(), Evidence()
        evidence.delivered[(STREAM, 3)] = 1
        self.assertFalse(judge(one, evidence, "backend"))
        evidence.alarms[(STREAM, 3)].append(("phone", "open_failed"))
        self.assertTrue(judge(one, evidence, "backend"))
        self.assertEqual(one.verdict, "noticed")

    def test_one_alarm_answers_for_one_injection(self):
        first, second, evidence = injection(), injection("forge"), Evidence()
        evidence.alarms[(STREAM, 3)].append(("phone", "open_failed"))
        self.assertTrue(judge(first, evidence, "backend"))
        self.assertFalse(judge(second, evidence, "backend"), "both were put there, and only one was noticed")
        evidence.alarms[(STREAM, 3)].append(("phone", "open_failed"))
        self.assertTrue(judge(second, evidence, "backend"))

    def test_an_alarm_about_anothers_forgery_does_not_answer_for_a_record_that_was_swallowed(self):
        one, evidence = injection("drop", placed=None), Evidence()
        evidence.alarms[(STREAM, 3)].append(("phone", "open_failed"))
        self.assertFalse(judge(one, evidence, "backend", {(STREAM, 3)}))
        evidence.delivered[(STREAM, 3)] = 1
        self.assertTrue(judge(one, evidence, "backend", {(STREAM, 3)}))
        self.assertEqual(one.verdict, "harmless")

    def test_what_another_hop_had_spoiled_may_come_again_and_has_to_open_for_nobody(self):
        spoiled, evidence = injection(left="ab"), Evidence()
        again = injection("replay", came="ab", left="ab")
        evidence.alarms[(STREAM, 3)].append(("phone", "open_failed"))
        self.assertTrue(judge(spoiled, evidence, "backend"))
        taken = {(STREAM, 3)}
        self.assertFalse(judge(again, evidence, "backend", taken, {("another",)}), "a genuine one has to come, or to be missed")
        self.assertTrue(judge(again, evidence, "backend", taken, {spoiled.left}))
        twice = injection("replay", came="ab", left="ab")
        evidence.delivered[(STREAM, 3)] = 2
        judge(twice, evidence, "backend", taken, {spoiled.left})
        self.assertEqual(twice.verdict, "twice")

    def test_two_records_at_one_place_are_not_the_same(self):
        self.assertNotEqual(injection().left, injection(placed=(OTHER, 3)).left)
        self.assertNotEqual(injection().left, injection(left="ab").left)

    def test_what_came_twice_is_not_harmless(self):
        one, evidence = injection("replay"), Evidence()
        self.assertFalse(judge(one, evidence, "backend"), "it has not come at all")
        evidence.delivered[(STREAM, 3)] = 2
        judge(one, evidence, "backend")
        self.assertEqual(one.verdict, "twice")

    def test_reading_is_harmless_only_where_nothing_was_read(self):
        self.assertFalse(judge(injection("read", detail="canary 0 as raw"), Evidence(), "backend"))
        self.assertTrue(judge(injection("read", detail="no canary found"), Evidence(), "backend"))


class Log:
    def __init__(self, entries=()):
        self.entries = list(entries)

    def find(self, event, predicate=lambda entry: True):
        return [entry for entry in self.entries if entry["event"] == event and predicate(entry)]


class CommandTest(unittest.TestCase):
    """What became of exactly the command that was attacked."""

    def judged(self, kind, done=0, answers=(), exit_code=0, error=""):
        process = types.SimpleNamespace(popen=types.SimpleNamespace(returncode=exit_code), error_text=lambda: error)
        commands = Commands.__new__(Commands)
        commands.device = "bulb"
        commands.all = []
        commands.demo = types.SimpleNamespace(commands=[Sent(OTHER, "other", None), Sent(STREAM, "mine", process)])
        commands.home = types.SimpleNamespace(name="acme")
        commands.bulb = types.SimpleNamespace(log=Log(
            [{"event": "command_done", "command": "mine"}] * done + [{"event": "command_done", "command": "other"}]))
        records = [{"stream": "cc", "sequence": i, "confirmed": True, "answer": {"command": command, "result": result}}
                   for i, (command, result) in enumerate(answers)]
        commands.watch = types.SimpleNamespace(records=lambda kind, device: records)
        one = injection(kind, topic="command/x")
        return one if commands.judge(one) else None

    def test_another_commands_fate_says_nothing(self):
        self.assertIsNone(self.judged("replay", answers=[("other", "done")]))
        self.assertIsNone(self.judged("ack_and_drop", answers=[("other", "done")]), "its own sender was told nothing yet")

    def test_done_once_needs_the_signed_answer_that_names_it(self):
        self.assertIsNone(self.judged("replay", done=1))
        self.assertEqual(self.judged("replay", done=1, answers=[("mine", "done")]).verdict, "harmless")
        self.assertIsNone(self.judged("modify", done=1, answers=[("mine", "done")]), "a changed command was done")

    def test_a_repeat_may_be_answered_as_a_repeat_and_as_nothing_else(self):
        self.assertEqual(self.judged("duplicate", done=1, answers=[("mine", "done"), ("mine", "replayed")]).verdict, "harmless")
        self.assertIsNone(self.judged("duplicate", done=1, answers=[("mine", "done"), ("mine", "done")]))
        self.assertIsNone(self.judged("duplicate", done=1, answers=[("mine", "replayed")]))

    def test_done_twice_is_never_harmless(self):
        self.assertEqual(self.judged("duplicate", done=2, answers=[("mine", "done")]).verdict, "twice")

    def test_a_swallowed_command_is_noticed_by_its_own_sender(self):
        told = "keystead-mobile-stub: the device did not answer in time; whether it acted is not known"
        self.assertEqual(self.judged("ack_and_drop", exit_code=1, error=told).verdict, "noticed")
        self.assertIsNone(self.judged("ack_and_drop", exit_code=1, error="keystead-mobile-stub: certificate expired"))

    def test_a_signed_refusal_is_an_answer(self):
        self.assertEqual(self.judged("delay", answers=[("mine", "expired")]).by, "bulb")


class ExplanationTest(unittest.TestCase):
    def setUp(self):
        self.explained = Explanations([injection()], {"spiffe://globex/gateway/thief"}, Evidence())

    def test_every_kind_of_alarm_needs_an_attack_at_its_place(self):
        for kind in ("open_failed", "conflict", "missing", "replay", "malformed", "not_permitted", "signature_invalid", "stale"):
            self.assertTrue(self.explained.of_record((STREAM, 3), "phone", kind), kind)
            self.assertFalse(self.explained.of_record((OTHER, 3), "phone", kind), kind)
        self.assertFalse(self.explained.of_record((STREAM, 2), "phone", "open_failed"))

    def test_only_what_is_said_of_a_whole_stream_may_come_later(self):
        self.assertTrue(self.explained.of_record((STREAM, 9), "phone", "hash_chain_broken"))
        self.assertFalse(self.explained.of_record((STREAM, 1), "phone", "hash_chain_broken"))
        self.assertFalse(self.explained.of_record((STREAM, 9), "phone", "conflict"))

    def test_what_its_sender_gave_up_may_be_missing_and_nothing_else(self):
        given_up = Explanations([], set(), Evidence(), {OTHER})
        self.assertTrue(given_up.of_record((OTHER, 0), "bulb", "missing"))
        self.assertFalse(given_up.of_record((OTHER, 0), "bulb", "open_failed"))
        self.assertFalse(given_up.of_record((STREAM, 0), "bulb", "missing"))

    def test_alarms_without_a_record_need_an_attack_as_well(self):
        for kind in ("peer_refused", "commit_refused", "join_refused", "issuer_mismatch", "command_refused", "not_permitted"):
            self.assertFalse(self.explained.elsewhere("backend", {"kind": kind, "peer": "x", "detail": ""}), kind)
        self.assertTrue(self.explained.elsewhere("backend", {"kind": "not_permitted", "peer": "spiffe://globex/gateway/thief"}))

    def test_a_connection_that_did_not_go_on_is_the_wires_doing_and_too_many_are_not(self):
        wire = injection()
        wire.form = "tcp"
        explained = Explanations([wire], set(), Evidence())
        ended = "handshakes: connections ended before TLS: {} above what an address may ask for, 1 that did not go on"
        self.assertTrue(explained.elsewhere("backend", {"kind": "limit_exceeded", "detail": ended.format(0)}))
        self.assertFalse(explained.elsewhere("backend", {"kind": "limit_exceeded", "detail": ended.format(3)}))
        self.assertFalse(self.explained.elsewhere("backend", {"kind": "limit_exceeded", "detail": ended.format(0)}))


class Quiet:
    """A box that says yes and does nothing."""

    def plan(self, attacks):
        return list(range(len(attacks)))

    def wait_spent(self, numbers, patience=None, meanwhile=None):
        return set(numbers)

    def disarm(self, number=0):
        pass

    def injections(self, number=0):
        return []

    def reboot(self):
        pass


class StageTest(unittest.TestCase):
    def setUp(self):
        self.screen = Screen()
        self.checks = Assertions(self.screen)
        self.demo = types.SimpleNamespace(screen=self.screen, checks=self.checks, watches={}, homes={}, injections=[],
                                          world=types.SimpleNamespace(infra=lambda hop, form: Quiet()))

    def test_a_relay_that_injects_nothing_does_not_pass(self):
        saved = demo_battle.all_connected, demo_battle.ends
        demo_battle.all_connected, demo_battle.ends = lambda demo: True, lambda demo, hop: {}
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                demo_battle.wires(self.demo)
        finally:
            demo_battle.all_connected, demo_battle.ends = saved
        self.assertIn("attack.all_injected", self.checks.failed())
        named = self.checks.results["attack.all_injected"][1]
        for hop in demo_battle.HOPS:  # each one that was not made, so that none covers for another
            self.assertIn(f"{hop}, TLS record: ack_and_drop", named)
            for direction in ("up", "down"):
                for kind, _ in demo_battle.WIRE_ATTACKS:
                    if kind != "ack_and_drop":
                        self.assertIn(f"{hop}, TLS record {direction}: {kind}", named)

    def test_any_mistake_in_a_stage_fails_that_stage_and_the_next_one_runs(self):
        ran = []

        def broken(_):
            raise KeyError("a field that is not there")
        with contextlib.redirect_stdout(io.StringIO()):
            demo.run_stages(self.demo, [("broken", broken), ("next", ran.append)])
        self.assertEqual(self.checks.failed(), ["stage.broken"])
        self.assertEqual(len(ran), 1)


class KeysTest(unittest.TestCase):
    def test_decodes_what_the_phone_writes(self):
        encoded = bytes.fromhex("84" "01" "3863" "82" "4201ff" "6161" "f6")
        self.assertEqual(demo_keys.decode(encoded), ([1, -100, [b"\x01\xff", "a"], None], len(encoded)))
        self.assertEqual(demo_keys.decode(b"\x59\x01\x00" + b"x" * 256), (b"x" * 256, 259))


if __name__ == "__main__":
    unittest.main()
