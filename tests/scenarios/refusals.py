"""What was refused to callers in a run, and how often it rang in the log of who refused it: rule R2 of the reference wants the
same number."""

import functools

KINDS = ("not_permitted", "peer_refused", "issuer_mismatch")  # of who may not, in the log
RANG_BY = 5  # seconds until a refusal stands in the log


class Refused:
    """Of one peer at one place: how often, as the caller saw it. `mark`: where the log of that place stood before; `alone`: no other process asks there under the
    same name."""

    def __init__(self, process, peer, mark):
        self.process, self.peer, self.mark = process, peer, mark
        self.count, self.alone = 0, True

    def rang(self):
        found = self.process.log.find("security", lambda entry: entry["peer"] == self.peer and entry["kind"] in KINDS, self.mark)
        return sum(int(entry["count"]) for entry in found)

    def as_often(self):
        rang = self.rang()
        return rang == self.count or (rang > self.count and not self.alone)

    def __str__(self):
        return f"{self.peer} was refused {self.count} times, and {self.process.name} rang {self.rang()} times"


class Refusals:
    def __init__(self):
        self._told = {}

    def add(self, process, peer, mark, count, alone=True):
        one = self._told.setdefault((process, peer), Refused(process, peer, mark))
        one.count += count
        one.alone = one.alone and alone

    def take(self):
        """All Refused since the last call."""
        told, self._told = self._told, {}
        return list(told.values())


@functools.cache
def refusals(stack):
    """Of one run."""
    return Refusals()
