"""How the five programs are put together: certificates, and one class per program on top of harness.Stack."""

import base64
import copy
import json
import os
import shutil
import threading
import time

import harness
from harness import HERE, Failure, ROOT

ACME = "acme.keystead.example"
GLOBEX = "globex.keystead.example"
PROVIDER = "provider-one.example"
LISTEN = "127.0.0.1:0"


class Leaf:
    """Where one component's certificate, key and identity are."""

    def __init__(self, folder, spiffe):
        self.chain = os.path.join(folder, "chain.pem")
        self.key = os.path.join(folder, "key.pem")
        self.spiffe = spiffe

    def options(self, roots, prefix=""):
        return [f"--{prefix}tls-chain", self.chain, f"--{prefix}tls-key", self.key, f"--{prefix}tls-roots", roots]


class Pki:
    """A fresh set of authorities in the stack's folder."""

    def __init__(self, stack, tenants=(ACME, GLOBEX), name="pki", provider=PROVIDER):
        self.stack = stack
        self.folder = stack.path(name)
        self.provider_name = provider
        self._env = {"KEYSTEAD_ISSUE": str(stack.bins / "keystead-issue")}
        stack.run(ROOT / "certs/make-pki", "--out", self.folder, "--provider", provider,
                  *[word for tenant in tenants for word in ("--tenant", tenant)], env=self._env)
        self.tenants = os.path.join(self.folder, "tenants")
        self.admission = os.path.join(self.folder, "admission", "ca.pem")
        self.provider_roots = os.path.join(self.folder, "provider", "ca.pem")
        self.backend = Leaf(os.path.join(self.folder, "provider", "backend"), f"spiffe://{provider}/service/backend")

    def roots(self, tenant):
        return os.path.join(self.tenants, tenant, "ca.pem")

    def _issue(self, *arguments):
        self.stack.run(ROOT / "certs/issue", "--out", self.folder, *arguments, env=self._env)

    def leaf(self, tenant, role, name, *options):
        """Issues, or keeps what is still good; `options` go to certs/issue (--server, --days …)."""
        self._issue("--tenant", tenant, "--role", role, "--id", name, *options)
        return Leaf(os.path.join(self.tenants, tenant, role, name), f"spiffe://{tenant}/{role}/{name}")

    def leaves(self, tenant, role, prefix, count):
        """The folder of `count` leaves, prefix and number, each in a folder of its name: what --ids with --certs reads."""
        self._issue("--tenant", tenant, "--role", role, "--id-prefix", prefix, "--count", str(count))
        return os.path.join(self.tenants, tenant, role)

    def renew(self, tenant, role, name, *options):
        """A new certificate and key in the place of the old, as an operator would put them there: made elsewhere, moved in."""
        scratch = f"{self.folder}-renewal"
        shutil.copytree(self.folder, scratch)
        fresh = os.path.join(scratch, "tenants", tenant, role, name)
        shutil.rmtree(fresh)
        self.stack.run(ROOT / "certs/issue", "--out", scratch, "--tenant", tenant, "--role", role, "--id", name, *options,
                       env=self._env)
        leaf = Leaf(os.path.join(self.tenants, tenant, role, name), f"spiffe://{tenant}/{role}/{name}")
        os.replace(os.path.join(fresh, "key.pem"), leaf.key)
        os.replace(os.path.join(fresh, "chain.pem"), leaf.chain)
        shutil.rmtree(scratch)
        return leaf

    def another_of_provider(self, folder, *options):
        """The backend's own name on another certificate of its provider's CA, which lies in a copy of all of it: what whoever
        has that copy, or an old backup of it, can show."""
        scratch = self.stack.path(folder)
        shutil.copytree(self.folder, scratch)
        shutil.rmtree(os.path.join(scratch, "provider", "backend"))
        self.stack.run(ROOT / "certs/issue", "--out", scratch, "--provider", "--id", "backend", "--server", *options, env=self._env)
        return Leaf(os.path.join(scratch, "provider", "backend"), self.backend.spiffe)

    def second_authority(self, tenant):
        """Another authority with the tenant's name, cross-signed by the same admission CA, and not the one that is registered:
        a Pki of its own folder. What a provider's mistake, or a bribed clerk, would make."""
        twin = copy.copy(self)
        twin.folder = f"{self.folder}-twin"
        shutil.copytree(self.folder, twin.folder)
        twin.tenants = os.path.join(twin.folder, "tenants")
        shutil.rmtree(os.path.join(twin.tenants, tenant))
        self.stack.run(ROOT / "certs/make-pki", "--out", twin.folder, "--provider", self.provider_name, "--tenant", tenant,
                       env=self._env)
        return twin

    def factory(self, tenant, role, name):
        """What a product gets when it is made."""
        return self.leaf(tenant, "factory", f"{role}.{name}", "--days", "3650")

    def revoke(self, tenant, *lines):
        """Signs the tenant's revocations with these lines added; the file that goes to the provider."""
        self._issue("--tenant", tenant, *[word for line in lines for word in ("--revoke", line)])
        return os.path.join(self.tenants, tenant, "revocations.cbor")

    def provider_leaf(self, name, *options):
        self._issue("--provider", "--id", name, "--server", *options)
        return Leaf(os.path.join(self.folder, "provider", name), f"spiffe://{self.provider_name}/service/{name}")


class Hop:
    """Somebody's next hop: where it listens, who answers there, and what that identity is verified against."""

    def __init__(self, process, port, spiffe, roots):
        self.process = process
        self.port = port
        self.spiffe = spiffe
        self.roots = roots

    @property
    def address(self):
        return self.process.address(self.port)

    def behind(self, process, port):
        """The same identity, reached through a relay."""
        return Hop(process, port, self.spiffe, self.roots)


def start_backend(stack, pki, name="backend", *options, env=None, data=None, place=HERE):
    process = stack.start(name, "keystead-backend", "--listen", place.listen, "--data", data or stack.path(name),
                          "--tenants", pki.tenants, *pki.backend.options(pki.admission), *options, env=env, place=place)
    return Hop(process, "grpc", pki.backend.spiffe, pki.provider_roots)


def gateway_arguments(pki, tenant, leaf, upstream, state, listen=LISTEN):
    """`leaf` serves the LAN and calls the next hop."""
    return ["--listen", listen, *leaf.options(pki.roots(tenant)), "--upstream", upstream.address, "--upstream-id",
            upstream.spiffe, "--upstream-roots", upstream.roots, "--state", state]


def enrolling(stack, pki, tenant, role, name):
    """Where a product of this name will put the certificates that it gets itself, and the options that say with what."""
    factory = pki.factory(tenant, role, name)
    leaf = Leaf(stack.path("enrolled", role, name), f"spiffe://{tenant}/{role}/{name}")
    return leaf, ["--factory-chain", factory.chain, "--factory-key", factory.key]


def start_gateway(stack, pki, tenant, name, upstream, *options, state=None, process_name=None, env=None, enrolls=False, place=HERE):
    """A gateway called `name` in the tenant; it joins by label where options say --label-out."""
    if enrolls:
        leaf, more = enrolling(stack, pki, tenant, "gateway", name)
        options = (*options, *more)
    else:
        leaf = pki.leaf(tenant, "gateway", name, "--server")
    process_name = process_name or name
    process = stack.start(process_name, "keystead-gateway",
                          *gateway_arguments(pki, tenant, leaf, upstream, state or stack.path(process_name), place.listen), *options,
                          env=env, place=place)
    return Hop(process, "lan", leaf.spiffe, pki.roots(tenant))


def pin_port(process, port):
    """So that a restart is found where it was."""
    process.replace_option("--listen", process.address(port))


class Balancer:
    """What one balancer listener of an Infra is told. `server`: the identity it shows; `upstreams`: tenant → (leaf, hop)."""

    def __init__(self, name, server, client_roots, upstreams):
        self.name = name
        self.server = server
        self.client_roots = client_roots
        self.upstreams = upstreams

    def options(self, listen):
        yield "--balancer"
        yield (f"name={self.name},listen={listen},chain={self.server.chain},key={self.server.key},"
               f"roots={self.client_roots}")
        for tenant, (leaf, hop) in self.upstreams.items():
            yield "--upstream"
            yield (f"balancer={self.name},tenant={tenant},address={hop.address},chain={leaf.chain},key={leaf.key},"
                   f"roots={hop.roots},server={hop.spiffe}")


class Infra:
    """One keystead-infra-sim and its control connection, which leads to nowhere else than its own loopback: what controls it runs there too."""

    place = HERE

    def __init__(self, stack, pki, name, balancers=(), relays=None, canaries=(), admin_tenant=ACME, place=HERE):
        self.stack, self.place = stack, place
        self._admin = pki.leaf(admin_tenant, "admin", "attacker")
        server = pki.leaf(admin_tenant, "service", "infra-control", "--server")
        self._roots = pki.roots(admin_tenant)
        self._server = server
        arguments = ["--tenants", pki.tenants, "--control-listen", LISTEN,
                     *server.options(self._roots, "control-")]
        for balancer in balancers:
            arguments += balancer.options(place.listen)
        for listener, upstream in (relays or {}).items():
            arguments += ["--tcp", f"name={listener},listen={place.listen},upstream={upstream}"]
        for canary in canaries:
            arguments += ["--canary", canary]
        self.process = stack.start(name, "keystead-infra-sim", *arguments, place=place)
        self._session = None
        self._asking = threading.Lock()

    def _control(self):
        return ["ctl", "--control", f"127.0.0.1:{self.process.port('control')}", "--server", self._server.spiffe,
                *self._admin.options(self._roots)]

    def ctl(self, *words, patience=20):
        """One run of the client, as a person would."""
        result = self.stack.run("keystead-infra-sim", *self._control(), "--json", *words, patience=patience, place=self.place)
        return json.loads(result.stdout) if result.stdout.strip() else {}

    def ask(self, verb, argument):
        """The same over one connection that stays: a test asks hundreds of times. Thread-safe."""
        with self._asking:
            if self._session is None or self._session.poll() is not None:
                self._session = self.stack.converse("keystead-infra-sim", *self._control(), "session", place=self.place)
            self._session.stdin.write(f"{verb} {argument}\n")
            self._session.stdin.flush()
            line = self._session.stdout.readline()
        answer = json.loads(line) if line else {"error": "the control connection ended"}
        expect("error" not in answer, f"{verb} {argument}: {answer.get('error')}")
        return answer

    def reboot(self):
        """What a reboot of the box looks like: gone at once, then back on the same ports, with all attacks forgotten."""
        ports = self.process.ports()
        for at, word in enumerate(self.process.command):
            for listener, port in ports.items():
                if word.startswith(f"name={listener},"):
                    self.process.command[at] = word.replace(f"listen={self.place.listen}", f"listen={self.place.address}:{port}")
        if "--control-listen" in self.process.command:
            self.process.replace_option("--control-listen", f"127.0.0.1:{ports['control']}")
        self.process.kill()
        self.process.relaunch()

    def plan(self, attacks):
        """Arms many at once; each is a dictionary of the arguments of arm(). Their numbers, in order."""
        numbers = []
        for attack in attacks:
            request = {"kind": "ATTACK_" + attack["kind"].upper(), "count": attack.get("count", 1),
                       "seed": attack.get("seed", 1), "direction": attack.get("direction") or "",
                       "listener": attack.get("listener") or "", "topic_prefix": attack.get("topic") or ""}
            if attack.get("target"):
                request["target"] = "TARGET_" + attack["target"].upper()
            if attack.get("delay_ms"):
                request["delay_ms"] = attack["delay_ms"]
            if attack.get("instantiation"):
                request["instantiation"] = base64.b64encode(bytes.fromhex(attack["instantiation"])).decode()
            numbers.append(int(self.ask("arm", json.dumps(request))["attack"]))
        return numbers

    def arm(self, kind, listener=None, direction=None, target=None, topic=None, count=1, seed=1, delay_ms=None,
            instantiation=None):
        words = ["arm", "--kind", kind, "--count", count, "--seed", seed]
        for flag, value in (("--listener", listener), ("--direction", direction), ("--target", target),
                            ("--topic-prefix", topic), ("--delay-ms", delay_ms), ("--instantiation", instantiation)):
            if value is not None:
                words += [flag, value]
        return int(self.ctl(*words)["attack"])

    def disarm(self, attack=0):
        self.ask("disarm", attack)

    def injections(self, attack=0):
        return self.ask("injections", attack).get("injections", [])

    def seen(self, last=1000):
        return self.ask("seen", last)

    def spent(self):
        """The numbers of the attacks that were made as often as they were armed for."""
        return {entry["attack"] for entry in self.process.log.find("attack_spent")}

    def wait_spent(self, attacks, patience=None, meanwhile=lambda waited: None):
        """Until all of `attacks` are spent, or for `patience` seconds none was: the numbers of those that are not. `meanwhile` is
        told for how many seconds none was."""
        patience = harness.PATIENCE if patience is None else patience
        left = set(attacks) - self.spent()
        since = time.monotonic()
        while left and (waited := time.monotonic() - since) < patience:
            meanwhile(waited)
            time.sleep(harness.POLL)
            before, left = left, set(attacks) - self.spent()
            if left != before:
                since = time.monotonic()
        return left


def expect(condition, message):
    if not condition:
        raise Failure(message)
