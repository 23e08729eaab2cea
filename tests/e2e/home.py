"""One customer's product in a Stack: a gateway, devices and the owner's app, joined through real labels."""

import json
import os
import stat
import subprocess

import product
from harness import HERE, Failure, JsonLog, wait_until


class App:
    """The owner's phone: one state folder; each verb is a run of the program, `watch` a process of its own."""

    def __init__(self, stack, pki, tenant, name, hop, *options, role="app", place=HERE):
        self.stack = stack
        self.place = place
        self.tenant = tenant
        self.name = name
        self.hop = hop
        self.options = options
        self.leaf = pki.leaf(tenant, role, name)
        self.state = stack.path(f"{name}-state")
        self.recovery = stack.path(f"{name}-recovery-key")  # written at the first pairing
        self.watching = None

    def arguments(self, hop=None):
        hop = hop or self.hop
        return ["--state", self.state, "--next-hop", hop.address, "--next-hop-id", hop.spiffe,
                *self.leaf.options(hop.roots), *self.options, "--json"]

    def call(self, *words, hop=None, patience=60, check=True):
        """The JSON objects a verb printed; with check=False also its result."""
        result = self.stack.run("keystead-mobile-stub", *self.arguments(hop), "--quiet", *words, patience=patience,
                                check=check, place=self.place)
        lines = []
        for line in result.stdout.splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                lines.append({"event": "", "text": line})
        return lines if check else (lines, result)

    def pair(self, labels, hop=None, wait=20, check=True, terms=()):
        words = ["pair", "--wait", wait, *terms]
        for label in labels:
            if stat.S_IMODE(os.stat(label).st_mode) != 0o600:
                raise Failure(f"label file {label} is open to others")
            words += ["--label-file", label]
        if not os.path.exists(self.recovery):
            words += ["--recovery-out", self.recovery]
        return self.call(*words, hop=hop, patience=wait * 3 + 20, check=check)

    def ask_in(self, wait=60):
        """Asks to be let into somebody's home: (the running `join`, its one-time label's file)."""
        label = self.stack.path(f"{self.name}.label")
        process = self.stack.start(f"{self.name}-join", "keystead-mobile-stub", *self.arguments(), "join", "--label-out", label, "--wait", wait,
                                   ports=False, place=self.place)
        wait_until(lambda: os.path.exists(label), lambda: f"the label of {self.name}\n{process.tail()}")
        return process, label

    def let_in(self, guest, may_read, until=None, hop=None):
        """The owner lets another app in, which may then read what these members measure: what the guest was told."""
        process, label = guest.ask_in()
        terms = ["--guest", guest.leaf.spiffe, *[word for name in may_read for word in ("--may-read", name)], *(["--until", until] if until else [])]
        self.pair([label], terms=terms, hop=hop)
        if process.wait() != 0:
            raise Failure(f"{guest.name} was not let in:\n{process.tail()}")
        return JsonLog(process.output).wait_for("joined")

    def add_courier(self, spiffe, hop=None):
        return self.call("add-courier", spiffe, hop=hop)

    def send(self, device, *command, check=True, timeout=15):
        return self.call("send", device, *command, "--timeout", timeout, check=check, patience=timeout + 20)

    def status(self, hop=None):
        return [line for line in self.call("status", hop=hop) if line["event"] == "status"][0]

    def status_epoch(self):
        """The epoch of the newest commit this phone knows."""
        return self.call("members")[0]["epoch"]

    def watch(self, name=None, hop=None, env=None, ports=False, options=()):
        """A running `watch`; its events are in the Watch that is returned. `ports`: it announces some."""
        name = name or f"{self.name}-watch"
        process = self.stack.start(name, "keystead-mobile-stub", *self.arguments(hop), "watch", *options, ports=ports, env=env, place=self.place)
        self.watching = Watch(process)
        return self.watching


class Watch:
    """What an app saw, line by line."""

    def __init__(self, process):
        self.process = process
        self.events = JsonLog(process.output)

    def wait_for(self, event, predicate=None, patience=None, start=0):
        return self.events.wait_for(event, predicate, patience, start, self.process)

    @staticmethod
    def _is(kind, device):
        return lambda entry: (kind is None or entry["kind"] == kind) and (device is None or entry["device"] == device)

    def records(self, kind=None, device=None, start=0):
        return self.events.find("record", self._is(kind, device), start)

    def wait_readings(self, device, count=1, patience=None, start=0):
        matching = self.events.matching("record", self._is("readings", device), start)
        wait_until(lambda: len(matching()) >= count,
                   lambda: f"{count} readings of {device} in {self.process.name}\n{self.events.tail()}\n{self.process.tail()}",
                   patience)
        return matching()

    def alarms(self, start=0):
        return self.events.find("alarm", None, start)

    def latest_states(self):
        """Stream id → its latest state."""
        return {entry["stream"]: entry for entry in self.events.find("state")}

    def losses(self, device, start=0):
        """(stream, first, last) of whatever a device said itself that it lost."""
        states = self.events.find("state", lambda one: one["device"] == device, start)
        return {(loss["stream"], loss["first"], loss["last"]) for state in states for loss in state["losses"]}

    def unreported(self, device):
        """[(stream, sequence)] of a device's records that are missing, and that it calls lost in none of its reports. Several may tell of one gap."""
        said = {(stream, sequence) for stream, first, last in self.losses(device) for sequence in range(first, last + 1)}
        missing = {(state["stream"], sequence) for state in self.latest_states().values() if state["device"] == device
                   for first, last in state["missing"] for sequence in range(first, last + 1)}
        return sorted(missing - said)

    def delivered(self):
        """(stream, sequence) → how often it was delivered."""
        counts = {}
        for entry in self.events.find("record"):
            key = (entry["stream"], entry["sequence"])
            counts[key] = counts.get(key, 0) + 1
        return counts


class Device:
    """A device process; `label` is its label file once it runs."""

    def __init__(self, stack, pki, tenant, name, kind, hop, *options, env=None, state=None, process_name=None, log=None,
                 enrolls=False, place=HERE):
        self.stack = stack
        self.name = name
        if enrolls:
            leaf, more = product.enrolling(stack, pki, tenant, "device", name)
            options = (*options, *more)
        else:
            leaf = pki.leaf(tenant, "device", name)
        self.leaf = leaf
        self.label = stack.path(f"{name}.label")
        words = ["--state", state or stack.path(f"{name}-state"), "--id", name, "--tls-chain", leaf.chain, "--tls-key",
                 leaf.key, "--next-hop", hop.address, "--next-hop-id", hop.spiffe, "--roots", hop.roots, "--label-out",
                 self.label]
        if kind is not None:
            words += ["--kind", kind]
        self.process = stack.start(process_name or name, "keystead-device-sim", *words, *options, env=env, place=place)

    def wait_label(self):
        wait_until(lambda: os.path.exists(self.label), f"the label of {self.name}")
        return self.label

    def wait_joined(self, patience=None):
        return self.process.wait_for("joined", patience=patience)


class Home:
    """A gateway with the devices behind it and the phone of their owner, for one tenant.

    `backend` is where the phone founds the instantiation and names couriers; `gateway_hop` and `app_hop` are the next hops
    of everyday life (default: the backend itself)."""

    def __init__(self, stack, pki, tenant, name, backend, gateway_hop=None, app_hop=None, gateway_options=(), env=None,
                 gateway_state=None, enrolls=False):
        self.stack = stack
        self.pki = pki
        self.tenant = tenant
        self.name = name
        self.backend = backend
        self.devices = {}
        self.env = env
        self.gateway_label = stack.path(f"{name}-gateway.label")
        self.gateway = product.start_gateway(stack, pki, tenant, f"{name}-gateway", gateway_hop or backend, "--label-out",
                                             self.gateway_label, *gateway_options, state=gateway_state, env=env, enrolls=enrolls)
        self.app = App(stack, pki, tenant, f"{name}-phone", app_hop or backend)
        self.instantiation = None

    def found(self, couriers=()):
        """Makes the instantiation with the gateway in it, and names further couriers."""
        wait_until(lambda: os.path.exists(self.gateway_label), "the gateway's label")
        paired = [line for line in self.app.pair([self.gateway_label], hop=self.backend) if line["event"] == "paired"][0]
        self.instantiation = paired["instantiation"]
        for courier in couriers:
            self.app.add_courier(courier, hop=self.backend)
        return paired

    def start_device(self, name, kind, *options, hop=None, env=None, enrolls=False):
        """A device that is not, or not yet, one of the home's."""
        return Device(self.stack, self.pki, self.tenant, name, kind, hop or self.gateway, *options, env=env, enrolls=enrolls)

    def add_device(self, name, kind, *options, hop=None, env=None, enrolls=False):
        device = self.start_device(name, kind, *options, hop=hop, env=env, enrolls=enrolls)
        self.devices[name] = device
        return device

    def pair_devices(self, hop=None):
        labels = [device.wait_label() for device in self.devices.values()]
        paired = [line for line in self.app.pair(labels, hop=hop) if line["event"] == "paired"][0]
        for device in self.devices.values():
            device.wait_joined()
        return paired


def relabel(text):
    """A label's text without its grouping."""
    return "".join(text.split())


def scan_qr(path):
    """What zbarimg reads in an image; None where there is no zbarimg."""
    try:
        result = subprocess.run(["zbarimg", "-q", "--raw", "-Sdisable", "-Sqrcode.enable", path], capture_output=True,
                                text=True, timeout=30, check=False)
    except FileNotFoundError:
        return None
    return result.stdout.strip()
