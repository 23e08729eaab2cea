"""Whom a process is connected to, as the kernel says."""

import os
import re

LISTEN = "0A"  # the state of a socket that waits for connections


def _of_process(pid):
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue  # closed meanwhile
        if match := re.fullmatch(r"socket:\[(\d+)\]", link):
            found.add(match[1])
    return found


def _sockets(pid, protocols):
    """(protocol, fields of its line in /proc/net) of each socket of a process."""
    own = _of_process(pid)
    for protocol in protocols:
        with open(f"/proc/{pid}/net/{protocol}", encoding="ascii") as file:
            for line in list(file)[1:]:
                fields = line.split()
                if fields[9] in own:
                    yield protocol, fields


def peers(pid):
    """{(protocol, "address:port")} of every socket of IPv4 or IPv6 that has a peer."""
    found = set()
    for protocol, fields in _sockets(pid, ("tcp", "tcp6", "udp", "udp6")):
        address, port = fields[2].split(":")
        if int(port, 16):
            found.add((protocol, f"{_address(address)}:{int(port, 16)}"))
    return found


def doors(pid):
    """{"address:port"} at which the process listens."""
    found = set()
    for _, fields in _sockets(pid, ("tcp", "tcp6")):
        if fields[3] == LISTEN:
            address, port = fields[1].split(":")
            found.add(f"{_address(address)}:{int(port, 16)}")
    return found


def has_none(pid):
    """Whether a process holds no socket at all, of whatever family, also none that has no peer yet."""
    return not _of_process(pid)


def _address(text):
    data = bytes.fromhex(text)
    if data[:12] in (bytes(12), bytes.fromhex("0000000000000000ffff0000")):  # IPv4 inside of IPv6
        data = data[12:]
    return ".".join(str(byte) for byte in reversed(data)) if len(data) == 4 else text
