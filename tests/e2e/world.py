"""The whole path of the demonstration, for one or more homes of one or more tenants, with hostile equipment on every hop:

    device → lan wire → lan balancer → gateway → wan wire (gb) → wan balancer → backend
    phone  → wan wire (ba) → app balancer → backend

A wire is a TCP relay, which holds no credentials; a balancer terminates TLS with credentials that its neighbours accept.
The homes share one LAN (a house of flats, say): its equipment carries all of them, each through a listener of its own, and
so can try to put the records of one home in the place of another's.
"""

import product
from home import Home
from product import Balancer, Hop, Infra, Pki

# The three hops, as the results name them.
HOPS = ("device-gateway", "gateway-backend", "backend-app")


def listener_of(hop, home):
    """What the listener is called that carries `home` over `hop`: on the LAN each home has its own."""
    return f"{home}-{hop}" if hop == "device-gateway" else hop


class World:
    nobody_elses = {}  # hop → splice targets for which its equipment meets nobody else's place

    def __init__(self, stack, homes, canaries=(), env=None, backend_options=(), gateway_options=(), say=lambda text: None):
        """`homes`: short name of a home → its tenant."""
        self.stack = stack
        tenants = list(dict.fromkeys(homes.values()))
        self.pki = pki = Pki(stack, tenants)
        say("authorities made: the provider's, the admission CA, one per tenant")
        self.backend = product.start_backend(stack, pki, "backend", "--enrollment", pki.tenants, *backend_options, env=env)
        say(f"backend listens on {self.backend.address}")
        balancer = pki.provider_leaf("balancer")
        self.couriers = {tenant: [pki.leaf(tenant, "gateway", name, "--server")
                                  for name in ("lan-balancer", "wan-balancer", "app-balancer")] for tenant in tenants}
        self.wan = Infra(stack, pki, "wan-balancers", [
            Balancer("gateway-backend", balancer, pki.admission, {t: (self.couriers[t][1], self.backend) for t in tenants}),
            Balancer("backend-app", balancer, pki.admission, {t: (self.couriers[t][2], self.backend) for t in tenants}),
        ], canaries=canaries)
        self.wires = Infra(stack, pki, "wan-wires", relays={
            hop: self.wan.process.address(hop) for hop in ("gateway-backend", "backend-app")}, canaries=canaries)

        def behind(port):
            return Hop(self.wires.process, port, balancer.spiffe, pki.provider_roots)
        self.homes = {}
        for name, tenant in homes.items():
            home = Home(stack, pki, tenant, name, self.backend, behind("gateway-backend"), behind("backend-app"),
                        gateway_options, env)
            self.homes[name] = home
            say(f"gateway of {name} listens on {home.gateway.address}")
            home.couriers = [leaf.spiffe for leaf in self.couriers[tenant]]
        self._build_lan(canaries)

    def _build_lan(self, canaries):
        balancers = []
        for name, home in self.homes.items():
            leaf = self.couriers[home.tenant][0]
            balancers.append(Balancer(listener_of("device-gateway", name), leaf, self.pki.roots(home.tenant),
                                      {home.tenant: (leaf, home.gateway)}))
        self.lan_balancers = Infra(self.stack, self.pki, "lan-balancers", balancers, canaries=canaries)
        names = {name: listener_of("device-gateway", name) for name in self.homes}
        self.lan_wires = Infra(self.stack, self.pki, "lan-wires", relays={
            listener: self.lan_balancers.process.address(listener) for listener in names.values()}, canaries=canaries)
        for name, home in self.homes.items():
            home.device_hop = Hop(self.lan_wires.process, names[name], self.couriers[home.tenant][0].spiffe,
                                  self.pki.roots(home.tenant))

    def infra(self, hop, form):
        """Who attacks this hop: form is "tcp" or "balancer"."""
        if hop == "device-gateway":
            return self.lan_wires if form == "tcp" else self.lan_balancers
        return self.wires if form == "tcp" else self.wan

    def all_infra(self):
        return [self.wan, self.wires, self.lan_balancers, self.lan_wires]
