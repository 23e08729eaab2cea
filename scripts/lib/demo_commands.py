"""Commands that are under way while they are attacked, and what became of each: asked of the device and of its signed word."""

import itertools
import json

from demo_attacks import HARMLESS

NOT_TAKEN = "the next hop has not said that it took the command"


class Sent:
    """One command: where it stood, its hash, and the process that sent it (None: it has ended well)."""

    def __init__(self, stream, command, process):
        self.stream = stream
        self.command = command
        self.process = process


def sent_in(lines, process=None):
    """What `send --json` says it sent."""
    for line in lines:
        if line.get("event") == "progress" and line.get("step") == "sent":
            words = line["detail"].split()
            yield Sent(words[words.index("stream") + 1], words[words.index("command") + 1], process)


class Commands:
    """Keeps a few commands to one device that can be switched under way, so that there is something to attack."""

    _numbers = itertools.count(1)

    def __init__(self, demo, home, at_once=6, device="bulb"):
        self.demo = demo
        self.home = demo.homes[home]
        self.watch = demo.watches[home]
        self.at_once = at_once
        self.device = device
        self.timeout = 1
        self.running = []
        self.all = []
        self._said = {}  # process that has ended → what it sent
        self.bulb = self.home.devices[device].process

    def keep_going(self, waited):
        """`waited`: for so many seconds nothing came of it. Then the machine has other work: fewer at once, with more time each."""
        if waited > 4 * self.timeout and self.timeout < 8:
            self.timeout *= 2
            self.at_once = max(2, self.at_once // 2)
        self.running = [process for process in self.running if not process.ended()]
        while len(self.running) < self.at_once:
            number = next(self._numbers)
            process = self.home.app.stack.start(
                f"send-{number}", "keystead-mobile-stub", *self.home.app.arguments(), "send", self.device,
                "on" if number % 2 else "off", "--timeout", self.timeout, "--force", ports=False, place=self.home.app.place)
            self.running.append(process)
            self.all.append(process)

    def finish(self):
        for process in self.running:
            process.wait(2 * self.timeout + 10)

    def _ended(self):
        for process in self.all:
            if process not in self._said and process.ended():
                try:
                    lines = [json.loads(line) for line in process.output.read_text().splitlines()]
                except (OSError, ValueError):
                    continue
                self._said[process] = list(sent_in(lines, process))
            yield from self._said.get(process, ())

    def given_up(self):
        """Streams of commands that had not left the phone when their time was over, as their senders say."""
        return {sent.stream for sent in self._ended() if NOT_TAKEN in sent.process.error_text()}

    def _find(self, stream):
        yield from (sent for sent in self._ended() if sent.stream == stream)
        yield from (sent for sent in self.demo.commands if sent.stream == stream)

    def outcome(self, stream):
        """(how often the device did it, the results in its signed answers, whether its sender was left without one)."""
        sent = next(self._find(stream), None)
        if sent is None:
            return None
        done = self.bulb.log.find("command_done", lambda entry: entry["command"] == sent.command)
        answers = {(entry["stream"], entry["sequence"]): entry["answer"]["result"]
                   for entry in self.watch.records("answer", self.device)
                   if entry["answer"]["command"] == sent.command and entry["confirmed"]}
        unanswered = sent.process is not None and sent.process.popen.returncode not in (0, None) and \
            "did not answer in time" in sent.process.error_text()
        return len(done), list(answers.values()), unanswered

    def judge(self, injection):
        """What became of exactly the command whose stream was attacked: done once, with one signed answer that names it; or
        not done, which a signed answer says, or the lack of one, which its sender reports."""
        outcome = self.outcome(injection.genuine[0])
        if outcome is None:
            return False
        done, answers, unanswered = outcome
        if done > 1:
            injection.verdict, injection.by, injection.why = "twice", self.device, f"did it {done} times"
            return True
        # A repeat that gets past the reader meets the counter: the device says "replayed", signed, and does nothing.
        if injection.kind in HARMLESS and done == 1 and answers.count("done") == 1 and set(answers) <= {"done", "replayed"}:
            injection.verdict, injection.by, injection.why = "harmless", self.device, "did it once; its signed answer names this command"
            return True
        if done == 0 and answers and "done" not in answers:
            injection.verdict, injection.by, injection.why = "noticed", self.device, f"not done, and says so, signed: {answers[0]}"
            return True
        if done == 0 and unanswered:
            injection.verdict, injection.by = "noticed", f"{self.home.name}'s phone"
            injection.why = "no signed answer to this command"
            return True
        return False
