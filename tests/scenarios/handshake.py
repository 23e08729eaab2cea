"""Whom a server lets in by TLS alone, and certificates as lists of revoked ones name them."""

import subprocess

import paths  # noqa: F401
from registry import expect
from tls_client import s_client


def serial_of(chain):
    """The serial number of a chain's first certificate, in lower-case hexadecimal."""
    text = subprocess.run(["openssl", "x509", "-in", chain, "-noout", "-serial"], check=True, capture_output=True, text=True, timeout=20).stdout
    return text.strip().partition("=")[2].lower()


def refuses(name, hop, rightful, strangers):
    """NotMet unless `hop` refuses each of `strangers` (kind → certificate) in the handshake, and takes the rightful one before and
    after. `name` is the server's, for the message."""
    expect(s_client(hop.address, hop.roots, rightful).accepted, f"{name} refuses {rightful.spiffe} itself: the refusals prove nothing")
    accepted = [kind for kind, leaf in strangers.items() if s_client(hop.address, hop.roots, leaf).accepted]
    expect(not accepted, f"{name} accepted {', '.join(accepted)}")
    expect(s_client(hop.address, hop.roots, rightful).accepted, f"{name} refuses {rightful.spiffe} afterwards")
