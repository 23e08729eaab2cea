"""Whom a server lets in by TLS alone, and that it rings for each other one."""

import paths  # noqa: F401
from harness import Failure, wait_until
from refusals import RANG_BY
from registry import expect
from tls_client import s_client

BY_TLS = "TLS: "  # how the detail of an event begins whose peer TLS refused: core/transport/handshake_governor.cc


def refuses(name, hop, rightful, strangers):
    """NotMet unless `hop` refuses each of `strangers` (kind → certificate) in the handshake, rings once for each, and takes the rightful one before
    and after. `name` is the server's, for the message."""
    expect(s_client(hop.address, hop.roots, rightful).accepted, f"{name} refuses {rightful.spiffe} itself: the refusals prove nothing")
    mark = hop.process.log.mark()
    accepted = [kind for kind, leaf in strangers.items() if s_client(hop.address, hop.roots, leaf).accepted]
    expect(not accepted, f"{name} accepted {', '.join(accepted)}")
    rings_once_for_each(name, hop, mark, len(strangers))
    expect(s_client(hop.address, hop.roots, rightful).accepted, f"{name} refuses {rightful.spiffe} afterwards")


def rings_once_for_each(name, hop, mark, count):
    """NotMet unless the log of `hop` says since `mark` of exactly so many handshakes that TLS refused."""
    def rang():
        found = hop.process.log.find("security", lambda entry: entry["kind"] == "peer_refused" and entry["detail"].startswith(BY_TLS), mark)
        return sum(int(entry["count"]) for entry in found)
    try:
        wait_until(lambda: rang() >= count, "it", RANG_BY)
    except Failure:
        pass  # said below
    expect(rang() == count, f"{name} refused {count} handshakes, and rang {rang()} times")
