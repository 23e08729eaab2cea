"""A client that is not ours: openssl s_client against a running gRPC port, and certificates no honest CA would issue."""

import os
import re
import select
import shutil
import subprocess
import time

import harness
from product import Leaf

# What an HTTP/2 client says first (RFC 9113, section 3.4), and how a server's answer to it begins: a SETTINGS frame.
# A server that refuses the client's certificate ends the connection instead: in TLS 1.3 only now does the client learn
# it. gRPC sends no alert with that; why it refused stands on the server's standard error.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
_SETTINGS = re.compile(rb"\x00\x00[\x00-\xff]\x04\x00\x00\x00\x00\x00", re.S)
_TICKET = re.compile(rb"<<< TLS [\d.]+, Handshake \[length [0-9a-f]+\], NewSessionTicket|New Session Ticket arrived")


class Outcome:
    def __init__(self, output, accepted):
        self.output = output
        self.accepted = accepted
        self.tickets = len(_TICKET.findall(output))

    def __str__(self):
        text = self.output.decode(errors="replace")
        return ("accepted" if self.accepted else "refused") + "\n" + text[-2000:]


def s_client(address, roots, leaf=None, options=("-tls1_3",), patience=10):
    """Until the server's SETTINGS arrive, or the connection ends. -msg names every handshake message."""
    command = ["openssl", "s_client", "-connect", address, "-CAfile", roots, "-alpn", "h2", "-msg", "-ign_eof", *options]
    if leaf is not None:
        command += ["-cert", leaf.chain, "-cert_chain", leaf.chain, "-key", leaf.key]
    child = subprocess.Popen(harness.dies_with_parent(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    output, accepted = b"", False
    try:
        child.stdin.write(_PREFACE)
        child.stdin.flush()
        deadline = time.monotonic() + patience
        while not accepted:
            ready, _, _ = select.select([child.stdout], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise harness.Failure(f"openssl s_client heard nothing for {patience} s:\n{output.decode(errors='replace')[-2000:]}")
            data = os.read(child.stdout.fileno(), 65536)
            if not data:
                break
            output += data
            accepted = _SETTINGS.search(output) is not None
    except BrokenPipeError:
        output += child.stdout.read()
    finally:
        child.kill()
        child.stdin.close()
        child.stdout.close()
        child.wait()
    return Outcome(output, accepted)


class Forger:
    """Makes leaves with the openssl command, under any CA or none, naming whomever it likes."""

    def __init__(self, stack, name="forged"):
        self.stack = stack
        self.folder = stack.path(name)
        os.makedirs(self.folder, exist_ok=True)

    def _run(self, *words, given=b""):
        return subprocess.run(["openssl", *words], check=True, capture_output=True, input=given).stdout

    def _new(self, name, spiffe):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        leaf = Leaf(folder, spiffe)
        self._run("genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", leaf.key)
        os.chmod(leaf.key, 0o600)
        extensions = os.path.join(folder, "ext")
        with open(extensions, "w", encoding="ascii") as file:
            file.write("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                       f"extendedKeyUsage=clientAuth,serverAuth\nsubjectAltName=URI:{spiffe}\n")
        return leaf, extensions

    def self_signed(self, name, spiffe):
        leaf, extensions = self._new(name, spiffe)
        self._run("x509", "-new", "-signkey", leaf.key, "-subj", "/CN=self-signed", "-days", "2", "-extfile", extensions,
                  "-out", leaf.chain)
        return leaf

    def with_another_key(self, name, leaf):
        """Somebody's genuine chain, and a file that calls a key of ours the one of it: its public half is theirs, so that the program that
        shows them notices nothing (ECPrivateKey, RFC 5915, section 3)."""
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        copy = Leaf(folder, leaf.spiffe)
        shutil.copyfile(leaf.chain, copy.chain)
        public = self._run("pkey", "-pubin", "-outform", "DER", given=self._run("x509", "-in", leaf.chain, "-noout", "-pubkey"))[-65:]
        curve = bytes.fromhex("06082a8648ce3d030107")
        body = b"\x02\x01\x01\x04\x20" + b"\1" + os.urandom(31) + b"\xa0\x0a" + curve + b"\xa1\x44\x03\x42\x00" + public
        self._run("pkey", "-inform", "DER", "-out", copy.key, given=b"\x30" + bytes([len(body)]) + body)
        os.chmod(copy.key, 0o600)
        return copy

    def issued_by(self, name, spiffe, ca, ca_key, intermediates=()):
        """A leaf that CA really signed; `intermediates` go behind it into the chain."""
        leaf, extensions = self._new(name, spiffe)
        public = os.path.join(leaf.chain + ".pub")
        self._run("pkey", "-in", leaf.key, "-pubout", "-out", public)
        self._run("x509", "-new", "-force_pubkey", public, "-subj", "/CN=issued", "-days", "2", "-extfile", extensions,
                  "-CA", ca, "-CAkey", ca_key, "-out", leaf.chain)
        with open(leaf.chain, "a", encoding="ascii") as chain:
            for path in intermediates:
                with open(path, encoding="ascii") as file:
                    chain.write(file.read())
        return leaf

    def without_constraint(self, name, authority, admission):
        """What an admission CA makes by mistake: `authority` (a folder with ca.pem and ca.key) cross-signed for any name at all. The
        path of that certificate."""
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        public, extensions, made = (os.path.join(folder, file) for file in ("pub", "ext", "cross.pem"))
        self._run("pkey", "-in", os.path.join(authority, "ca.key"), "-pubout", "-out", public)
        with open(extensions, "w", encoding="ascii") as file:
            file.write("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n")
        named = self._run("x509", "-in", os.path.join(authority, "ca.pem"), "-noout", "-subject", "-nameopt", "compat")
        subject = "/" + named.decode().strip().removeprefix("subject=").lstrip("/")
        self._run("x509", "-new", "-force_pubkey", public, "-subj", subject, "-days", "2", "-extfile", extensions, "-CA",
                  os.path.join(admission, "ca.pem"), "-CAkey", os.path.join(admission, "ca.key"), "-out", made)
        return made
