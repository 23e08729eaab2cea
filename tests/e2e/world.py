"""The whole path of the demonstration, for one or more tenants, with hostile equipment on every hop:

    device → lan wire → lan balancer → gateway → wan wire (gb) → wan balancer → backend
    phone  → wan wire (ba) → app balancer → backend

A wire is a TCP relay, which holds no credentials; a balancer terminates TLS with credentials that its neighbours accept.
"""

import product
from home import Home
from product import Balancer, Hop, Infra, Pki

# The three hops, as the results name them.
HOPS = ("device-gateway", "gateway-backend", "backend-app")


class World:
    def __init__(self, stack, tenants, canaries=(), env=None, backend_options=(), gateway_options=(), say=lambda text: None):
        """`tenants`: tenant name → short name of its home."""
        self.stack = stack
        self.tenants = tenants
        self.pki = pki = Pki(stack, list(tenants))
        say("authorities made: the provider's, the admission CA, one per tenant")
        self.backend = product.start_backend(stack, pki, "backend", *backend_options, env=env)
        say(f"backend listens on {self.backend.address}")
        balancer = pki.provider_leaf("balancer")
        couriers = {tenant: [pki.leaf(tenant, "gateway", name, "--server")
                             for name in ("lan-balancer", "wan-balancer", "app-balancer")] for tenant in tenants}
        self.wan = Infra(stack, pki, "wan-balancers", [
            Balancer("gateway-backend", balancer, pki.admission, {t: (couriers[t][1], self.backend) for t in tenants}),
            Balancer("backend-app", balancer, pki.admission, {t: (couriers[t][2], self.backend) for t in tenants}),
        ], canaries=canaries)
        self.wires = Infra(stack, pki, "wan-wires", relays={
            hop: self.wan.process.address(hop) for hop in ("gateway-backend", "backend-app")}, canaries=canaries)

        def behind(port):
            return Hop(self.wires.process, port, balancer.spiffe, pki.provider_roots)
        self.homes = {}
        self.lan_balancers = {}
        self.lan_wires = {}
        for tenant, name in tenants.items():
            home = Home(stack, pki, tenant, name, self.backend, behind("gateway-backend"), behind("backend-app"),
                        gateway_options, env)
            self.homes[name] = home
            say(f"gateway of {name} listens on {home.gateway.address}")
            lan = couriers[tenant][0]
            self.lan_balancers[name] = Infra(stack, pki, f"{name}-lan-balancer", [
                Balancer("device-gateway", lan, pki.roots(tenant), {tenant: (lan, home.gateway)})], canaries=canaries,
                admin_tenant=tenant)
            self.lan_wires[name] = Infra(stack, pki, f"{name}-lan-wire", relays={
                "device-gateway": self.lan_balancers[name].process.address("device-gateway")}, canaries=canaries,
                admin_tenant=tenant)
            home.device_hop = Hop(self.lan_wires[name].process, "device-gateway", lan.spiffe, pki.roots(tenant))
            home.couriers = [leaf.spiffe for leaf in couriers[tenant]]

    def infra(self, hop, form, home):
        """Who attacks this hop: form is "tcp" or "balancer"."""
        if hop == "device-gateway":
            return (self.lan_wires if form == "tcp" else self.lan_balancers)[home]
        return self.wires if form == "tcp" else self.wan

    def all_infra(self):
        return [self.wan, self.wires, *self.lan_balancers.values(), *self.lan_wires.values()]
