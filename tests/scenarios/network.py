"""A network made for one run: a network namespace with an address of its own for each position, a bridge that joins them in one more,
and no way to anywhere else. Each namespace lives in a process that the kernel ends with the run, even by SIGKILL, and the namespace
with its wires goes with it: nothing has a name that could be left over.

Whoever makes the network stands at the bridge until it is closed: what it starts from then on can call every position.

Where this machine does not allow it, `Refused` says why."""

import ctypes
import os
import re
import select
import socket
import struct
import subprocess
import threading

from harness import Failure, Place, dies_with_parent, wait_until

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
PACKET_OUTGOING = 4
BRIDGE = "wire"
SUBNET, PREFIX = "10.75.84", 24
FIRST = 10  # the last number of the first position's address
MOST = 240  # positions
BATCH = 400  # connections tried at a time
IPV4, ARP = 0x0800, 0x0806


class Refused(Exception):
    """This machine makes no network namespaces for us."""


class Network:
    """`names`: the positions. Close it from the thread that made it, when its processes have ended."""

    def __init__(self, names):
        if len(names) > MOST:
            raise ValueError(f"{len(names)} positions; one network has room for {MOST}")
        self.here = Place(f"{SUBNET}.1")  # the bridge, where whoever made the network stands
        self.addresses = {name: f"{SUBNET}.{FIRST + number}" for number, name in enumerate(names)}
        self.macs = {name: "02:4b:53:00:00:%02x" % (FIRST + number) for number, name in enumerate(names)}
        self._holders, self._bridge, self._home = {}, None, None
        try:
            self._bridge, *holders = [hold() for _ in range(len(names) + 1)]
            self._holders = dict(zip(names, holders))
            for holder in (self._bridge, *holders):
                wait_until(lambda holder=holder: apart(holder), "a network namespace")
            self._home = open("/proc/thread-self/ns/net", "rb")  # pylint: disable=consider-using-with
            enter(f"/proc/{self._bridge.pid}/ns/net")
            self._wire()
        except (OSError, subprocess.SubprocessError, Failure) as error:
            self.close()
            told = error.stderr.strip() if getattr(error, "stderr", None) else str(error)
            raise Refused(f"no network namespaces here ({told}): needs root, unshare, nsenter and ip") from error

    def _wire(self):
        set_up((), [f"link add {BRIDGE} type bridge stp_state 0 mcast_snooping 0", f"address add {self.here.address}/{PREFIX} dev {BRIDGE}",
                    f"link set {BRIDGE} up"])
        wires = []
        for name, holder in self._holders.items():
            wires += [f"link add {self.port(name)} type veth peer name eth0 address {self.macs[name]} netns {holder.pid}",
                      f"link set {self.port(name)} master {BRIDGE} up"]
        set_up((), wires)
        for name, address in self.addresses.items():
            set_up(self.inside(name), [f"address add {address}/{PREFIX} dev eth0", "link set eth0 up"])

    def port(self, name):
        """The bridge's end of somebody's wire."""
        return f"to-{list(self.addresses).index(name)}"

    def inside(self, name):
        """What goes before a command so that it runs there, with the process id that it would have had."""
        return ["nsenter", f"--net=/proc/{self._holders[name].pid}/ns/net", "--"]

    def place(self, name):
        return Place(self.addresses[name], self.inside(name))

    def run(self, name, *command):
        return subprocess.run(self.inside(name) + list(map(str, command)), check=True, capture_output=True, text=True, timeout=20).stdout

    def within(self, name, action):
        """What `action` answers, called by a thread in there: sockets that it makes stay there."""
        box = {}

        def go():
            try:
                enter(f"/proc/{self._holders[name].pid}/ns/net")
                box["answer"] = action()
            except BaseException as error:  # pylint: disable=broad-exception-caught
                box["error"] = error
        thread = threading.Thread(target=go)
        thread.start()
        thread.join()
        if "error" in box:
            raise box["error"]
        return box["answer"]

    def sent(self, name):
        """Packets that ever left any card there, the one to oneself included, as the kernel counted them."""
        text = self.run(name, "cat", "/proc/net/dev")
        return {match[1]: int(match[2].split()[9]) for match in re.finditer(r"^\s*(\w+):(.*)$", text, re.M)}

    def ways_out(self, name):
        """Routes that lead beyond the network."""
        return [line for line in self.run(name, "ip", "-4", "route", "show").splitlines() if "scope link" not in line]

    def open_ports(self, name, address):
        """TCP ports at an address that accept a connection from there: all of them are tried."""
        return self.within(name, lambda: open_ports(address))

    def close(self):
        if self._home is not None:
            enter(f"/proc/self/fd/{self._home.fileno()}")
            self._home.close()
        for holder in (self._bridge, *self._holders.values()):
            if holder is not None:
                end(holder)
        self._holders, self._bridge, self._home = {}, None, None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def hold():
    """A process in a namespace of its own that does nothing."""
    return subprocess.Popen(dies_with_parent(["unshare", "--net", "sleep", "infinity"]), stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def apart(holder):
    """Whether it is there; Failure when it never will be."""
    if holder.poll() is not None:
        raise Failure(holder.stderr.read().strip() or "unshare ended")
    return os.readlink(f"/proc/{holder.pid}/ns/net") != os.readlink("/proc/self/ns/net")


def end(holder):
    holder.kill()
    holder.wait()
    holder.stderr.close()


def enter(path):
    """This thread goes into a namespace, and with it what it starts from now on."""
    with open(path, "rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def set_up(inside, lines):
    """What `ip` is to do there; IPv6 first goes off, or the kernel itself would speak."""
    quiet = "for family in all default; do file=/proc/sys/net/ipv6/conf/$family/disable_ipv6; test ! -e $file || echo 1 > $file; done; "
    subprocess.run([*inside, "sh", "-c", f"{quiet}exec ip -batch -"], input="\n".join(["link set lo up", *lines, ""]), check=True,
                   capture_output=True, text=True, timeout=20)


def open_ports(address, ports=range(1, 65536)):
    found, left = set(), iter(ports)
    while batch := [port for _, port in zip(range(BATCH), left)]:
        poll, tried = select.poll(), {}
        for port in batch:
            caller = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            caller.connect_ex((address, port))
            tried[caller.fileno()] = (caller, port)
            poll.register(caller, select.POLLOUT)
        while tried:
            ready = poll.poll(2000)
            if not ready:  # neither accepted nor refused: not open
                break
            for descriptor, _ in ready:
                caller, port = tried.pop(descriptor)
                poll.unregister(descriptor)
                if caller.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    found.add(port)
                caller.close()
        for caller, _ in tried.values():
            caller.close()
    return found


class Frame:
    """One frame as it came from somebody's wire. `to`: the IPv4 address that it is for; None where it is no such packet."""

    def __init__(self, data):
        self.data = data
        self.source = ":".join("%02x" % byte for byte in data[6:12])
        self.kind = struct.unpack(">H", data[12:14])[0]
        self.to = socket.inet_ntoa(data[30:34]) if self.kind == IPV4 else None

    def said(self):
        """What it carries above TCP or UDP, or all of it where it is neither; empty for an ARP message, and for ICMP, which repeats what it answers."""
        if self.kind == ARP:
            return b""
        if self.kind != IPV4:
            return self.data[14:]
        length, protocol = (self.data[14] & 15) * 4, self.data[23]
        packet = self.data[14:14 + struct.unpack(">H", self.data[16:18])[0]]
        if protocol == socket.IPPROTO_TCP:
            return packet[length + (packet[length + 12] >> 4) * 4:]
        if protocol == socket.IPPROTO_UDP:
            return packet[length + 8:]
        return b"" if protocol == socket.IPPROTO_ICMP else packet[length:]


class Capture:
    """Every frame that comes to the bridge over anybody's wire, from here until stop()."""

    def __init__(self, network):
        self.frames = []
        self._names = {mac: name for name, mac in network.macs.items()}
        self._cards = [listen(network.port(name)) for name in network.addresses]
        self._wake, self._woken = os.pipe()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while True:
            ready = select.select([*self._cards, self._wake], [], [])[0]
            for card in ready:
                if card != self._wake:
                    self._take(card)
            if ready == [self._wake]:  # and nothing waits any more
                return

    def _take(self, card):
        data, (_, _, kind, *_) = card.recvfrom(65535)
        if kind != PACKET_OUTGOING:
            self.frames.append(Frame(data))

    def of(self, name):
        """Frames that somebody sent so far."""
        return [frame for frame in self.frames if self._names.get(frame.source) == name]

    def stop(self):
        os.write(self._woken, b"x")
        self._thread.join()
        for card in self._cards:
            card.close()
        os.close(self._wake)
        os.close(self._woken)
        return self

    def as_pcap(self):
        """All of it as a file that any analyser reads."""
        head = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
        return head + b"".join(struct.pack("<IIII", 0, number, len(frame.data), len(frame.data)) + frame.data
                               for number, frame in enumerate(self.frames))


def listen(card):
    found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    found.bind((card, ETH_P_ALL))
    return found
