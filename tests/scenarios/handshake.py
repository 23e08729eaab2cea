"""Whom a server lets in by TLS alone."""

import paths  # noqa: F401
from registry import expect
from tls_client import s_client


def refuses(name, hop, rightful, strangers):
    """NotMet unless `hop` refuses each of `strangers` (kind → certificate) in the handshake, and takes the rightful one before and
    after. `name` is the server's, for the message."""
    expect(s_client(hop.address, hop.roots, rightful).accepted, f"{name} refuses {rightful.spiffe} itself: the refusals prove nothing")
    accepted = [kind for kind, leaf in strangers.items() if s_client(hop.address, hop.roots, leaf).accepted]
    expect(not accepted, f"{name} accepted {', '.join(accepted)}")
    expect(s_client(hop.address, hop.roots, rightful).accepted, f"{name} refuses {rightful.spiffe} afterwards")
