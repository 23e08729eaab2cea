"""Whom a server lets in by TLS alone, and that it rings for each other one."""

import paths  # noqa: F401
from refusals import refusals
from registry import expect
from tls_client import s_client


def refuses(stack, name, hop, rightful, strangers):
    """NotMet unless `hop` refuses each of `strangers` (kind → certificate) in the handshake, and takes the rightful one before and after. `name` is the server's,
    for the message. Whether it rang for each is judged afterwards (aftermath.py)."""
    expect(s_client(hop.address, hop.roots, rightful).accepted, f"{name} refuses {rightful.spiffe} itself: the refusals prove nothing")
    mark = hop.process.log.mark()
    accepted = [kind for kind, leaf in strangers.items() if s_client(hop.address, hop.roots, leaf).accepted]
    expect(not accepted, f"{name} accepted {', '.join(accepted)}")
    refusals(stack).add(hop.process, None, mark, len(strangers))
    expect(s_client(hop.address, hop.roots, rightful).accepted, f"{name} refuses {rightful.spiffe} afterwards")
