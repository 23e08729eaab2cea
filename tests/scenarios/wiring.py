"""A scenario's file as running processes: certificates, equipment, backends, gateways, devices and apps of tests/e2e, connected as
its links say, with everybody joined."""

import pathlib
import secrets

import paths  # noqa: F401  (first: the others are found through it)
import product
from demo_canary import Search, pages
from grants import Adversary
from harness import HERE, wait_until
from home import App, Device
from host import Host
from lone import Lone
from network import Network, Refused
from stranger import Stranger
from product import LISTEN, Balancer, Hop, Infra, Pki
from scenario import GUEST, PROVIDER, provider_domain

DOMAIN = "keystead.example"
DOOR = "door"  # of equipment through which no link leads
NOWHERE = "127.0.0.1:9"
NOT_POSSIBLE = {"impossible": (4711.0, "Cel"), "other unit": (70.0, "[degF]")}  # of a genuine thermometer: value, unit


class Canary:
    """A text that a device measures. Equipment is told its first half as what to look for, so that the second half in its memory
    can only have come there by reading."""

    def __init__(self):
        self.told = "canary-" + secrets.token_hex(8)
        self.untold = secrets.token_hex(12)
        self.text = f"{self.told}-{self.untold}"


class Product:
    """One customer's product: who belongs to it. The fields are those of tests/e2e's Home, so that what drives one drives both."""

    def __init__(self, name, tenant, backend):
        self.name = name
        self.tenant = tenant
        self.backend = backend
        self.gateway = None
        self.gateways = {}
        self.devices_joined_late = {}
        self.app = None
        self.watch = None
        self.devices = {}
        self.couriers = []
        self.instantiation = None


class Wired:
    """Running processes of one scenario. `say`: told what happens; `all_alike`: also the devices for which
    another of the file stands, and guests, who may read what they are granted."""

    def __init__(self, scenario, stack, canary, say=lambda text: None, all_alike=True):
        self.scenario = scenario
        self.stack = stack
        self.canary = canary
        self.say = say
        self.all_alike = all_alike
        self.tenants = {name: name if "." in name else f"{name}.{DOMAIN}" for name in scenario.value["tenants"]}
        self._pkis = self._make_authorities()
        self.hops = {}       # backend or gateway → Hop
        self.equipment = {}  # name → Infra
        self.apps, self.devices, self.watches, self.strangers = {}, {}, {}, {}
        self.alone = {}      # name → Lone
        self.products = {name: Product(name, self.tenants[one["tenant"]], one["provider"]) for name, one in scenario.products.items()}
        self._courier_leaves = {}
        self.network, self.no_network = None, ""  # why there is none
        self.here = HERE  # where the driver stands
        self._make_network()
        self._start_infrastructure()

    def _make_network(self):
        try:
            self.network = Network(self.scenario.positions())
        except Refused as refused:
            self.no_network = str(refused)
            self.say(f"everything runs on loopback: {refused}")
            return
        self.stack.on_close(self.network.close)
        self.here = self.network.here
        self.say(f"{len(self.network.addresses)} positions are network namespaces with addresses of their own and no way out")

    def place(self, name):
        """Where a process of the file runs. What a check brings along is at the guest's."""
        return self.network.place(name if name in self.network.addresses else GUEST) if self.network else HERE

    def within(self, name, action):
        """What `action` answers, called from where a process runs."""
        return self.network.within(name, action) if self.network else action()

    def where(self):
        """In words, for the evidence."""
        return "in network namespaces" if self.network else f"on loopback ({self.no_network})"

    def _make_authorities(self):
        """Provider's domain → Pki: each provider has authorities of its own, with the tenants that came to it. Who has no product
        here is a tenant of every one."""
        tenants = {}
        for entry in self.scenario.products.values():
            domain = provider_domain(self.scenario.processes[entry["provider"]])
            tenants.setdefault(domain, []).append(self.tenants[entry["tenant"]])
        if not tenants:  # nobody has a provider: authorities for what controls the equipment
            return {PROVIDER: Pki(self.stack, list(self.tenants.values()))}
        of_lone = {self.tenants[entry["tenant"]] for name, entry in self.scenario.value["products"].items() if name in self.scenario.alone}
        idle = set(self.tenants.values()) - of_lone - {name for names in tenants.values() for name in names}
        return {domain: Pki(self.stack, [*dict.fromkeys(names), *sorted(idle)], f"pki-{domain}", domain) for domain, names in tenants.items()}

    def pki_of(self, tenant):
        """The authorities of the provider whose tenant this is."""
        backend = next(owner.backend for owner in self.products.values() if owner.tenant == tenant)
        return self.pki_at(backend)

    def pkis(self):
        return list(self._pkis.values())

    def pki_at(self, backend):
        return self._pkis[provider_domain(self.scenario.processes[backend])]

    def _start_infrastructure(self):
        for name in self.scenario.order():
            process = self.scenario.processes[name]
            if process["program"] == "keystead-backend":
                self.hops[name] = self.another_backend(name, name)
            elif process["program"] == "keystead-infra-sim":
                self._start_equipment(name, process)
            elif process["program"] == "keystead-gateway":
                owner = self.products[process["product"]]
                self.hops[name] = product.start_gateway(self.stack, self.pki_of(owner.tenant), owner.tenant, name, self.next_hop(name),
                                                        "--label-out", self.stack.path(f"{name}.label"), place=self.place(name))
                owner.gateways[name] = self.hops[name]
                if not process.get("spare"):
                    owner.gateway = self.hops[name]
        for name, process in self.scenario.processes.items():
            if process.get("stranger"):
                tenant = self.products[process["product"]].tenant
                self.strangers[name] = Stranger(self.stack, self.pki_of(tenant).leaf(tenant, "thirdparty", name), name, self.place(name))
        self.say(f"{len(self.stack.processes)} processes of providers, gateways and equipment run")

    def another_backend(self, like, name, *options, data=None):
        """A process of the backend `like`, with its certificate: on the store `data`, where one is given."""
        pki = self.pki_at(like)
        provider = pathlib.Path(pki.folder) / "provider"
        metrics = ["--metrics-listen", product.LISTEN] if self.scenario.processes[like].get("metrics") else []
        return product.start_backend(self.stack, pki, name, *metrics, "--enrollment", pki.tenants, "--provider",
                                     f"{pki.provider_name}={pki.provider_roots}", "--audit-chain", provider / "audit/chain.pem",
                                     "--audit-key", provider / "audit/key.pem", *options, data=data, place=self.place(name))

    def courier(self, equipment, tenant):
        """The certificate with which a balancer carries for a tenant."""
        key = (equipment, tenant)
        if key not in self._courier_leaves:
            self._courier_leaves[key] = self.pki_of(tenant).leaf(tenant, "gateway", equipment, "--server")
        return self._courier_leaves[key]

    def tenants_of(self, link):
        return list(dict.fromkeys(self.products[self.scenario.processes[name]["product"]].tenant for name in link["from"]))

    def next_step(self, name, link, after):
        """The Hop that equipment `after` (None: the caller) meets next on this link."""
        way = [*link.get("through", []), link["to"]]
        at = 0 if after is None else way.index(after) + 1
        process, port = way[at], name
        met = next(one for one in way[at:] if self.scenario.processes[one].get("form") != "relay")  # a relay shows what is behind it
        ends_at = self.hops[met] if met == link["to"] else self.shown_by(met, link)
        if process == link["to"]:
            return self.hops[process]
        return Hop(self.equipment[process].process, port, ends_at.spiffe, ends_at.roots)

    def shown_by(self, equipment, link):
        """Whose identity a balancer shows on this link, as something with spiffe, chain, key, roots."""
        if self.scenario.processes[link["to"]]["program"] == "keystead-backend":
            pki = self.pki_at(link["to"])
            leaf = pki.provider_leaf(equipment)
            leaf.roots = pki.provider_roots
        else:
            [tenant] = self.tenants_of(link)
            leaf = self.courier(equipment, tenant)
            leaf.roots = self.pki_of(tenant).roots(tenant)
        return leaf

    def next_hop(self, caller):
        """Whom a caller connects to."""
        name = self.scenario.link_of(caller)
        link = self.scenario.links[name]
        hop = self.next_step(name, link, None)
        if link.get("meets") == "any carrier":
            hop = Hop(hop.process, hop.port, f"{hop.spiffe.rsplit('/', 1)[0]}/*", hop.roots)
        return hop

    def _start_equipment(self, name, process):
        links = {key: link for key, link in self.scenario.links.items() if name in link.get("through", [])}
        relays, balancers = {}, []
        if not links:  # nobody is known to call through it: one door that leads nowhere
            [pki], controlled_by = self._pkis.values(), next(iter(self.tenants.values()))
            self.equipment[name] = Infra(self.stack, pki, name, relays={DOOR: NOWHERE}, canaries=[self.canary.told], admin_tenant=controlled_by,
                                         place=self.place(name))
            return
        controlled_by = self.tenants_of(next(iter(links.values())))[0]
        pki = self.pki_of(controlled_by)
        for key, link in links.items():
            onward = self.next_step(key, link, name)
            if process["form"] == "relay":
                relays[key] = onward.address
            else:
                shown = self.shown_by(name, link)
                to_backend = self.scenario.processes[link["to"]]["program"] == "keystead-backend"
                roots = pki.admission if to_backend else pki.roots(self.tenants_of(link)[0])
                balancers.append(Balancer(key, shown, roots, {tenant: (self.courier(name, tenant), onward) for tenant in self.tenants_of(link)}))
        self.equipment[name] = Infra(self.stack, pki, name, balancers, relays, canaries=[self.canary.told], admin_tenant=controlled_by,
                                     place=self.place(name))

    def join(self):
        """Everybody becomes a member of its product, and the owners watch; devices without a home work."""
        for name in self.scenario.alone.values():
            self.alone[name] = Lone(self.stack, name, *self.measuring(name), place=self.place(name))
            self.alone[name].shown(patience=40)
        for name, owner in self.products.items():
            entry = self.scenario.products[name]
            denied = self.denied_servers(owner)
            denied.write_text("# servers whose certificates count no longer\n", encoding="ascii")
            owner.app = self.apps[entry["owner"]] = App(self.stack, self.pki_of(owner.tenant), owner.tenant, entry["owner"],
                                                        self.next_hop(entry["owner"]), "--denied-servers", denied,
                                                        place=self.place(entry["owner"]))
            founded_at = self.hops[entry["provider"]]
            labels = [self.stack.path(f"{gateway}.label") for gateway in owner.gateways]
            if labels:
                wait_until(lambda labels=labels: all(pathlib.Path(label).exists() for label in labels), "the gateways' labels")
                owner.instantiation = self._paired(owner.app.pair(labels, hop=founded_at))["instantiation"]
                self._add_couriers(owner, entry, founded_at)
            self._start_devices(owner)
            paired = self._paired(owner.app.pair([device.wait_label() for device in owner.devices.values()], hop=founded_at))
            owner.instantiation = paired["instantiation"]
            if not labels:  # founded with its devices, which meet no courier
                self._add_couriers(owner, entry, founded_at)
            for device in owner.devices.values():
                device.wait_joined()
            self.say(f"product {name}: {', '.join(sorted(owner.devices))} joined in epoch {paired['epoch']}")
        for name, process in self.scenario.processes.items():
            if "granted" in process and self.all_alike:
                self._let_in(name, process)
        for name, owner in self.products.items():
            owner.watch = self.watches[name] = owner.app.watch(options=self.watching(owner.app.name))
        for owner in self.products.values():
            for device in owner.devices:
                owner.watch.wait_readings(device, 1, 40)
        return self

    def _let_in(self, name, process):
        """A guest of the file, which then watches what it was granted."""
        owner = self.products[process["product"]]
        guest = self.apps[name] = App(self.stack, self.pki_of(owner.tenant), owner.tenant, name, self.next_hop(name), "--denied-servers",
                                      self.denied_servers(owner), role="service" if "averages" in process else "app", place=self.place(name))
        granted = [device for device in process["granted"] if device in owner.devices]
        owner.app.let_in(guest, granted, hop=self.hops[owner.backend])
        guest.watch(options=self.watching(name))
        self.say(f"{name} was let in to read {len(granted)} devices")

    def watching(self, name):
        """An app's options of `watch`."""
        process = self.scenario.processes[name]
        options = ["--live-within", process["live_within"]] if "live_within" in process else []
        if "averages" in process:
            options += ["--mean", *(word for range_ in process["averages"] for word in ("--plausible", range_))]
        return options

    def _add_couriers(self, owner, entry, founded_at):
        for carrier in entry["carriers"]:
            if "form" in self.scenario.processes[carrier]:
                owner.couriers.append(self.courier(carrier, owner.tenant).spiffe)
                owner.app.add_courier(owner.couriers[-1], hop=founded_at)

    @staticmethod
    def _paired(lines):
        return next(line for line in lines if line["event"] == "paired")

    def denied_servers(self, owner):
        """The file that tells device and app of a product which servers count no longer: nobody, at first."""
        return pathlib.Path(self.stack.path(f"{owner.name}.denied-servers"))

    def _start_devices(self, owner):
        for name, process in self.scenario.processes.items():
            if process["program"] != "keystead-device-sim" or process["product"] != owner.name:
                continue
            if "alike" in process and not self.all_alike:
                continue
            owner.devices[name] = self.devices[name] = Device(self.stack, self.pki_of(owner.tenant), owner.tenant, name, None,
                                                              self.next_hop(name), *self.measuring(name), "--denied-servers", self.denied_servers(owner),
                                                              place=self.place(name))

    def measuring(self, name):
        """A device's options that say what it measures, and how much of it it keeps."""
        process = self.scenario.processes[name]
        options = ["--interval", process.get("interval", 0.3)]
        if process["kind"] == "planted":
            path = pathlib.Path(self.stack.path(f"{name}.csv"))
            path.write_text(f"{self.canary.text}\n" + "".join(f"{20 + row % 7}.5\n" for row in range(1000)), encoding="ascii")
            options += ["--replay", path, "--column", self.canary.text, "--rate", "20"]
        elif process["kind"] in NOT_POSSIBLE:
            path, (value, unit) = pathlib.Path(self.stack.path(f"{name}.csv")), NOT_POSSIBLE[process["kind"]]
            path.write_text(f"temperature\n{value}\n{value}\n", encoding="ascii")
            options += ["--replay", path, "--column", "temperature", "--unit", unit]
        else:
            options += ["--kind", process["kind"]]
        if "safe" in process:
            options += ["--safe-output", process["safe"]["output"], "--safe-after", process["safe"]["after"]]
        if "journal_bytes" in process:
            options += ["--journal-bytes", process["journal_bytes"]]
        return options

    def readers(self):
        """In whose memory the planted text is while all is well: the owners' apps, and devices of nobody's home that measure it."""
        return [*self.apps, *(name for name in self.alone if self.scenario.processes[name]["kind"] == "planted")]

    def process(self, name):
        """The harness's Process of a declared one; of an app, its `watch`."""
        if name in self.apps:
            return self.apps[name].watching.process
        if name in self.devices or name in self.alone:
            return (self.devices.get(name) or self.alone[name]).process
        return self.equipment[name].process if name in self.equipment else self.hops[name].process

    def state_of(self, name):
        """Where a process keeps what it keeps; None for equipment, which keeps nothing on a disk."""
        if name in self.strangers:
            return self.strangers[name].answers
        if name in self.apps:
            return self.apps[name].state
        if name in self.devices or name in self.alone:
            return self.stack.path(f"{name}-state")
        return self.stack.path(name) if name in self.hops else None

    def logs_of(self, name):
        process = self.process(name)
        return [path for path in (process.log.path, process.output, process.errors) if path.exists()]

    def paths(self, name, what):
        """Where of a process lies what an adversary may be granted, or what writes it."""
        if what == "store":
            return [self.state_of(name)] if self.state_of(name) else []
        if what == "keystore":
            return [self.stack.path(f"{name}.keys")]
        if what == "machine":
            return Host(self.stack, self.process(name), self.state_of(name), self.stack.path(f"{name}.keys"))
        if what == "log":
            return self.logs_of(name)
        if what == "memory":
            return lambda target: dump(self.process(name).popen.pid, target / "memory")
        leaves = [leaf for (equipment, _), leaf in self._courier_leaves.items() if equipment == name]
        if name in self.devices or name in self.apps:
            leaves = [(self.devices.get(name) or self.apps[name]).leaf]
        command = self.process(name).command
        paths = [leaf.chain if what == "certificate" else leaf.key for leaf in leaves]
        option = "--tls-chain" if what == "certificate" else "--tls-key"
        return paths or [command[command.index(option) + 1]]

    def adversary(self, name):
        return Adversary(name, self.scenario.value["adversaries"][name], self.stack.path("adversaries"), self.paths, self.equipment)

    def look_for_canary(self, name, memory=True):
        """B6 at one place, in its files, its logs, its memory, and what passed it: (bytes searched, hits)."""
        search = Search({"planted text": self.canary.untold})
        hits = set()
        if self.state_of(name):
            hits |= search.in_files(self.state_of(name), "files")
        runs = name not in self.strangers
        for path in self.logs_of(name) if runs else ():
            hits |= search.in_files(path, "logs")
        if memory and runs:
            hits |= search.in_memory(self.process(name).popen.pid, "memory")
        if name in self.equipment:
            hits |= {("what passed", "planted text", sighting["form"]) for sighting in self.equipment[name].seen(1).get("sightings", [])}
        return search.bytes, hits

    def end(self):
        """Asks everybody to end, those who send first; names whoever did not, or ended otherwise than with 0."""
        first = [device.process for device in self.devices.values()] + [watch.process for watch in self.watches.values()]
        stubborn = self.stack.stop(processes=first)
        stubborn += self.stack.stop(processes=[self.hops[name].process for owner in self.products.values() for name in owner.gateways])
        stubborn += self.stack.stop()
        return stubborn


def dump(pid, path):
    """All that a process holds in memory, as one file, with a gap where it does not go on."""
    with open(path, "wb") as file:
        for follows, data in pages(pid):
            file.write(data if follows else b"\0" * 64 + data)


def repoint(infra, upstreams):
    """The relay with other upstreams (listener → address), on the ports it had: what a new cable or another route does."""
    for at, word in enumerate(infra.process.command):
        for listener, upstream in upstreams.items():
            if word.startswith(f"name={listener},"):
                fields = [field for field in word.split(",") if not field.startswith("upstream=")]
                infra.process.command[at] = ",".join([*fields, f"upstream={upstream}"])
    infra.reboot()
