"""What was refused to callers in a run, and how often it rang in the log of who refused it: rule R2 of the reference wants the
same number."""

import functools

BY_NAME = ("not_permitted", "peer_refused", "issuer_mismatch")  # of who has come through TLS and may not
BY_ADDRESS = ("handshake_failed",)                               # of who has not
RANG_BY = 5  # seconds until a refusal stands in the log


class Refused:
    """Of one peer at one place: how often, as the caller saw it; `maybe`: how many further calls it does not know about. `peer`: None for callers without a name.
    `mark`: where the log of that place stood before. `alone`: no other process asks there under the same name."""

    def __init__(self, process, peer, mark):
        self.process, self.peer, self.mark = process, peer, mark
        self.count, self.maybe, self.alone = 0, 0, True

    def rang(self):
        found = self.process.log.find("security", self._is_of_it, self.mark)
        return sum(int(entry["count"]) for entry in found)

    def _is_of_it(self, entry):
        return entry["kind"] in BY_ADDRESS if self.peer is None else entry["kind"] in BY_NAME and entry["peer"] == self.peer

    def as_often(self):
        rang = self.rang()
        return self.count <= rang and (rang <= self.count + self.maybe or not self.alone)

    def __str__(self):
        return f"{self.peer or 'callers without a name'} were refused {self.count} times, and {self.process.name} rang {self.rang()} times"


class Refusals:
    def __init__(self):
        self._told = {}
        self._written = set()

    def add(self, process, peer, mark, count=0, maybe=0, alone=True):
        one = self._told.setdefault((process, peer), Refused(process, peer, mark))
        one.count += count
        one.maybe += maybe
        one.alone = one.alone and alone

    def add_written(self, digests):
        """SHA-256 of records whose writing was refused: nobody may store them."""
        self._written |= set(digests)

    def take(self):
        """All Refused, and the digests, since the last call."""
        told, written, self._told, self._written = self._told, self._written, {}, set()
        return list(told.values()), written


@functools.cache
def refusals(stack):
    """Of one run."""
    return Refusals()
