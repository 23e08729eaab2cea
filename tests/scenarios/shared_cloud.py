"""One backend for the customers of several manufacturers: instantiations founded by a generator beside those that live, what of them
is stored, what their owners see of it, and what somebody of another tenant tries (keystead-hostile-tenant)."""

import collections
import concurrent.futures
import json
import os
import pathlib

from interface import interface
from product import Leaf
from product_keys import ring_of

CUSTOMERS = 5
PRODUCTS = 2
AT_ONCE = 3  # customers that come at once
# What goes by secrets and signatures and not by names: a mailbox's name, a product's proof, a tenant's list. tests/isolation has them.
BY_PROOF = ("Rendezvous", "Enrollment", "Revocation")
TO_PLACES = ("Transport", "Observer")  # aimed at single topics and streams


class Instantiation:
    """`owner`: the certificate of the customer's app; `ring`: the keys, as a file; `live`: a device of it sends now."""

    def __init__(self, tenant, customer, name, owner, ring, live):
        self.tenant, self.customer, self.id, self.owner, self.ring, self.live = tenant, customer, name, owner, ring, live


class Cloud:
    """What is at the backend `hop`. Customers are numbered from 0; number 0's first product is the living one."""

    def __init__(self, wired, backend):
        self.wired, self.hop, self.pki = wired, wired.hops[backend], wired.pki_at(backend)
        self.keys = pathlib.Path(wired.stack.path("customers-keys"))
        self.keys.mkdir(mode=0o700)

    def customer(self, tenant, number, role="app"):
        name = f"{role}-{tenant.split('.')[0]}-{number}"
        return Leaf(os.path.join(self.pki.tenants, tenant, role, name), f"spiffe://{tenant}/{role}/{name}")

    def found(self, tenant, number, count):
        """Founds instantiations of a customer: their list."""
        folder = self.keys / f"{tenant}-{number}"
        folder.mkdir(mode=0o700)
        words = []
        for role in ("app", "device"):
            leaf = self.customer(tenant, number, role)
            words += [f"--{role}-chain", leaf.chain, f"--{role}-key", leaf.key]
        self.wired.stack.run("keystead-stolen-keys", "--quiet", "found", "--backend", self.hop.address, "--backend-id", self.hop.spiffe, "--roots",
                             self.hop.roots, "--tenant", tenant, "--name", f"{tenant.split('.')[0]}-{number}", "--count", count, "--keys", folder,
                             *words, patience=60)
        return [Instantiation(tenant, number, ring.stem, self.customer(tenant, number), ring, False) for ring in sorted(folder.iterdir())]

    def certificates(self, tenant, count=CUSTOMERS):
        """For every customer's app and for the devices of those that are synthetic."""
        for role in ("app", "device"):
            self.pki.leaves(tenant, role, f"{role}-{tenant.split('.')[0]}-", count)

    def found_all(self):
        """Every manufacturer's customers, each with its products: all instantiations, those that live too."""
        all_of_them = []
        for owner in self.wired.products.values():
            self.certificates(owner.tenant)
            folder = self.keys / f"{owner.tenant}-live"
            ring_of(owner, folder)
            all_of_them.append(Instantiation(owner.tenant, 0, owner.instantiation, owner.app.leaf, folder / f"{owner.instantiation}.ring", True))
        customers = [(owner.tenant, number) for owner in self.wired.products.values() for number in range(CUSTOMERS)]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for found in pool.map(lambda one: self.found(*one, PRODUCTS - (one[1] == 0)), customers):
                all_of_them += found
        return all_of_them

    def ask(self, verb, callers, *words, patience=120):
        """One run of keystead-hostile-tenant. `callers`: (certificate, its SPIFFE id, [(instantiation, its places)])."""
        orders = {"callers": [{"id": leaf.spiffe, "chain": str(leaf.chain), "key": str(leaf.key),
                               "victims": [{"tenant": one.tenant, "instantiation": one.id, "places": places} for one, places in victims]}
                              for leaf, victims in callers]}
        out = self.wired.stack.run("keystead-hostile-tenant", "--quiet", "--backend", self.hop.address, "--backend-id", self.hop.spiffe, "--roots",
                                   self.hop.roots, verb, *words, input=json.dumps(orders), patience=patience).stdout
        return [json.loads(line) for line in out.splitlines()]

    def look(self, instantiations, places):
        """Instantiation → what its owner gets: counts, a code and a digest of all of it."""
        callers = {}
        for one in instantiations:
            callers.setdefault(one.owner.spiffe, (one.owner, []))[1].append((one, places[one.id]))
        return {line["instantiation"]: line for line in self.ask("look", callers.values())}


def rows_of(lines):
    """Instantiation → its lines of the host's list, as far as they open at rest."""
    rows = {}
    for line in lines:
        if line["opens_at_rest"]:
            rows.setdefault(line["instantiation"], []).append(line)
    return rows


def places_of(rows, live=()):
    """Instantiation → where one could write and read: each topic of it, with the next sequence of its stream; of those that live, one
    that is there already, so that nobody's device is disturbed."""
    out = {}
    for name, lines in rows.items():
        streams = {}
        for line in lines:
            place = streams.setdefault(line["topic"], {key: line[key] for key in ("topic", "sender", "stream", "epoch")} | {"sequence": -1})
            if line["stream"] == place["stream"]:
                place["sequence"] = max(place["sequence"], line["sequence"])
        for place in streams.values():
            place["sequence"] = place["sequence"] if name in live else place["sequence"] + 1
        out[name] = list(streams.values())
    return out


def expected_cells(callers, served):
    """How many lines `attack` must give, from the interface and from who asks for what alone. `served`: the backend's services."""
    counts = collections.Counter(call.service for call in interface().calls if call.service in served and call.service not in BY_PROOF)
    to_places = sum(count for name, count in counts.items() if name in TO_PLACES)
    others = sum(count for name, count in counts.items() if name not in TO_PLACES)
    return sum(others + to_places * len(places) for _, victims in callers for _, places in victims)
