"""A server in the place of another, which shows whatever certificate it is given and writes down what its callers then do: whether
they end the handshake, and whether they say a single word inside of the connection."""

import socket
import ssl
import threading

from harness import HERE
from registry import expect
from wiring import repoint

PATIENCE = 5  # seconds for one caller's handshake and first word


class Caller:
    """One connection: through which door, what was shown to it, how TLS ended ("" when it did not fail), and its first bytes."""

    def __init__(self, door, shown, error, said):
        self.door, self.shown, self.error, self.said = door, shown, error, said


class Trap:
    """`doors`: a port each at `place`, so that callers are told apart. Use as a context; show() says what is shown from here on."""

    def __init__(self, doors, place=HERE):
        self.callers = []
        self._shown = None
        self._lock = threading.Lock()
        self._doors = {door: socket.create_server((place.address, 0)) for door in doors}
        self._threads = [threading.Thread(target=self._serve, args=one, daemon=True) for one in self._doors.items()]
        for thread in self._threads:
            thread.start()

    def address(self, door):
        return "%s:%d" % self._doors[door].getsockname()

    def show(self, name, leaf):
        """`leaf`: one for all doors, or door → leaf."""
        contexts = {door: self._context(leaf[door] if isinstance(leaf, dict) else leaf) for door in self._doors}
        with self._lock:
            self._shown = (name, contexts)

    @staticmethod
    def _context(leaf):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(leaf.chain, leaf.key)
        return context

    def meet_all(self, run, shown, relay, back, patience):
        """Shows each of `shown` (kind → leaf) in the place of what `relay` leads to until somebody came through every door; then the
        relay leads to `back` (door → address) again. Kind → door → what became of each caller."""
        told = {}
        for kind, leaf in shown.items():
            self.show(kind, leaf)
            if not told:
                repoint(relay, {door: self.address(door) for door in self._doors})
            for door in self._doors:
                run.within(lambda kind=kind, door=door: self.of(kind, door), patience, f"nobody came to {door} while it showed {kind}")
            told[kind] = {door: [{"tls": caller.error or "completed", "bytes": len(caller.said)} for caller in self.of(kind, door)]
                          for door in self._doors}
        repoint(relay, back)
        return told

    def of(self, shown, door):
        with self._lock:
            return [caller for caller in self.callers if (caller.shown, caller.door) == (shown, door)]

    def _serve(self, door, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._meet, args=(door, connection), daemon=True).start()

    def _meet(self, door, connection):
        connection.settimeout(PATIENCE)
        with self._lock:
            name, contexts = self._shown
        error, said = "", b""
        try:
            with contexts[door].wrap_socket(connection, server_side=True) as tls:
                said = tls.recv(1024)
        except OSError as failed:  # ssl.SSLError is one
            error = str(failed)
        finally:
            connection.close()
        with self._lock:
            self.callers.append(Caller(door, name, error, said))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for listener in self._doors.values():
            listener.shutdown(socket.SHUT_RDWR)  # wakes who waits there
            listener.close()
        for thread in self._threads:
            thread.join()


def nobody_spoke(told, genuine, file):
    """NotMet when somebody said a word to what was not the genuine one, or nobody did to that: then the trap proves nothing."""
    heard = told[genuine]
    expect(all(any(caller["bytes"] for caller in callers) for callers in heard.values()), f"the trap hears nobody as {genuine} either: {heard}", [file])
    spoken = [f"{door} to {kind}" for kind, doors in told.items() for door, callers in doors.items()
              if kind != genuine and any(caller["bytes"] for caller in callers)]
    expect(not spoken, f"these said something: {', '.join(spoken)}", [file])
