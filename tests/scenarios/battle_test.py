#!/usr/bin/env python3
"""What counts against the product although somebody answered for the attack: records taken twice, and changed ones that were taken."""

import collections
import types
import unittest

import battle
import registry

PLACE = ("ab" * 16, 7)


def injection(kind="modify", target="cose_tag", verdict="noticed"):
    return types.SimpleNamespace(kind=kind, target=target, verdict=verdict, genuine=PLACE, placed=PLACE, why="", by="", hop="app-a", direction="down",
                                 topic="telemetry/x", original_sha256="", injected_sha256="", name=lambda: kind)


class Seen:
    """As much of demo_attacks.Evidence as is asked."""

    def __init__(self, delivered=0, alarms=()):
        self.delivered = collections.Counter({PLACE: delivered})
        self.alarms = {PLACE: [("phone", kind) for kind in alarms]}

    @staticmethod
    def about(one):
        return str(one)


class JudgeTest(unittest.TestCase):
    def setUp(self):
        self.gather, battle.demo_battle.gather = battle.demo_battle.gather, lambda demo: demo.evidence
        self.addCleanup(setattr, battle.demo_battle, "gather", self.gather)

    def judged(self, one, seen, planned=1, not_made=()):
        fight = types.SimpleNamespace(plan=[{}] * planned, injections=[one] if one else [], not_made=list(not_made),
                                      demo=types.SimpleNamespace(evidence=seen))
        run = types.SimpleNamespace(new_readings=lambda: None, keep=lambda name, data: {"path": name})
        return battle.judge(run, "X", [fight])[0]

    def refused(self, *arguments, says, **named):
        with self.assertRaises(registry.NotMet) as caught:
            self.judged(*arguments, **named)
        self.assertIn(says, caught.exception.observed)

    def test_what_is_noticed_at_its_place_and_not_taken_holds(self):
        self.assertIn("1 injected", self.judged(injection(), Seen(0, ["open_failed"])))

    def test_a_changed_record_that_was_taken_without_a_word_about_it_does_not(self):
        self.refused(injection(), Seen(1, ["hash_chain_broken"]), says="delivered although")
        self.refused(injection(target="cose_ciphertext"), Seen(1), says="delivered although")

    def test_one_whose_sender_sent_it_again_holds(self):
        self.judged(injection(), Seen(1, ["open_failed"]))
        self.judged(injection(verdict="refused"), Seen(1))

    def test_what_is_taken_twice_does_not_hold_whatever_was_said_before(self):
        self.refused(injection("duplicate", None, "harmless"), Seen(2), says="taken twice")

    def test_what_nobody_answers_for_does_not_hold(self):
        self.refused(injection(verdict=None), Seen(0), says="without an answer")

    def test_an_attack_that_was_not_made_proves_nothing(self):
        self.refused(injection(), Seen(0, ["open_failed"]), planned=2, says="1 of 2 attacks were made")
        self.refused(None, Seen(0), planned=1, not_made=["replay"], says="not: replay")


class WavesTest(unittest.TestCase):
    WAYS = [("read", None), ("modify", "cose_tag"), ("replay", None)]

    def test_without_a_number_every_way_is_tried_once(self):
        self.assertEqual(list(battle.waves(self.WAYS, 0, 1)), [self.WAYS])

    def test_as_many_as_asked_for_are_drawn_the_same_for_the_same_seed_and_never_too_many_at_once(self):
        drawn = list(battle.waves(self.WAYS, 2000, 1))
        self.assertEqual(sum(map(len, drawn)), 2000)
        self.assertLessEqual(max(map(len, drawn)), battle.WAVE)
        self.assertEqual({way for wave in drawn[1:] for way in wave}, set(self.WAYS))
        self.assertEqual(drawn, list(battle.waves(self.WAYS, 2000, 1)))
        self.assertNotEqual(drawn, list(battle.waves(self.WAYS, 2000, 2)))


if __name__ == "__main__":
    unittest.main()
