"""The demonstration's search for planted texts, with the control that shows the search can see."""

import demo_keys
import product
from demo_canary import Search
from harness import Stack
from home import Home
from product import ACME, Balancer, Hop, Infra, Pki


def control(demo, bins):
    """The same product, built with its sealing switched off: here the search must find the text everywhere, also in what
    passes a balancer, and in the logs."""
    with Stack("control", mutant="no_sealing", bins=bins) as stack:
        pki = Pki(stack, [ACME])
        backend = product.start_backend(stack, pki)
        courier = pki.leaf(ACME, "gateway", "wan-balancer", "--server")
        server = pki.provider_leaf("balancer")
        infra = Infra(stack, pki, "open-balancer", [Balancer("open", server, pki.admission, {ACME: (courier, backend)})],
                      canaries=[demo.canary])
        through = Hop(infra.process, "open", server.spiffe, pki.provider_roots)
        home = Home(stack, pki, ACME, "open", backend, through)
        home.found([courier.spiffe])
        path = stack.path("planted.csv")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{demo.canary}\n" + "1.5\n" * 100)
        home.add_device("planted", None, "--replay", path, "--column", demo.canary, "--rate", "20", "--interval", "0.1")
        home.pair_devices()
        home.app.watch().wait_readings("planted", 5)
        knock(stack, pki, home, server, backend, demo.canary)
        search = Search({"planted text": demo.canary})
        found = {
            "files of the backend": search.in_files(stack.path("backend"), "backend files"),
            "files of the gateway": search.in_files(stack.path("open-gateway"), "gateway files"),
            "memory of the backend": search.in_memory(backend.process.popen.pid, "backend memory"),
            "memory of the gateway": search.in_memory(home.gateway.process.popen.pid, "gateway memory"),
            "log of the backend": in_logs(search, [backend.process]),
            "log of the gateway": in_logs(search, [home.gateway.process]),
            "what passed a balancer": infra.seen(1).get("sightings", []),
        }
        stack.stop()
    return found


def knock(stack, pki, home, server, backend, name):
    """Somebody whose certificate carries the planted text as its name asks backend and gateway for records, in vain: they log
    who it was. So the text gets into a log by the way on which texts get into logs."""
    stranger = pki.leaf(home.tenant, "gateway", name)
    box = Infra(stack, pki, "strangers", [
        Balancer(to, server, pki.admission, {home.tenant: (stranger, hop)}) for to, hop in (("backend", backend), ("gateway", home.gateway))])
    member = stack.processes["planted"].log.find("joined")[0]["member"]
    for to in ("backend", "gateway"):
        home.app.call("raw", "--wait", "1", "--topic", f"telemetry/{member}", check=False,
                      hop=Hop(box.process, to, server.spiffe, pki.provider_roots))


def in_logs(search, processes):
    hits = set()
    for process in processes:
        for path in (process.log.path, process.output, process.errors):
            if path.exists():
                hits |= search.in_files(path, process.name)
    return hits


def search_forms(demo):
    """The search also finds each form in which a text could hide."""
    import base64
    raw = demo.canary.encode()
    hidden = {"raw": b"xx" + raw, "hex": b"xx" + raw.hex().encode(), "HEX": b"xx" + raw.hex().upper().encode(),
              **{f"base64 +{shift}": base64.b64encode(b"x" * shift + raw + b"yz") for shift in range(3)}}
    search = Search({"planted text": demo.canary})
    return [form for form, data in hidden.items() if not search.in_bytes(data, form)]


def secrecy(demo):
    screen, checks = demo.screen, demo.checks
    screen.stage("Search for planted text and for keys", "A text was planted in readings of two homes. It must be nowhere in files, logs or memory of "
                 "gateways, backend and the equipment between: raw, in hex or in base64; nor may any key that a phone or a label "
                 "holds. A search proves nothing until it has found something, so beside all this the same product "
                 "ran with its sealing switched off.")
    found = demo.control.result()
    blind = [place for place, hits in found.items() if not hits] + search_forms(demo)
    checks.check("secrecy.control_found", not blind,
                 "with sealing off the search finds it in " + ", ".join(place for place, hits in found.items() if hits) +
                 (f"; but NOT in {', '.join(blind)}" if blind else ""))
    keys = {}
    for name, home in demo.homes.items():
        keys |= demo_keys.of_phone(name, home.app.state, home.app.recovery)
    needles = {"planted text": demo.canary, **demo.secrets, **keys}
    search = Search(needles)
    device = demo.homes["acme"].devices["planted-acme"].process
    own = search.in_memory(device.popen.pid, "the device itself")
    checks.check("secrecy.search_sees_memory", any(name == "planted text" for _, name, _ in own),
                 "it also finds it in the memory of the device that measures it")
    phone = demo.watches["acme"].process
    held = {name for _, name, _ in search.in_memory(phone.popen.pid, "phone")}
    checks.check("secrecy.search_sees_keys", any(name.startswith("sending key") for name in held) and
                 any(name.startswith("signing key of acme") for name in held),
                 f"and finds {len(held & set(keys))} of the keys in the memory of acme's phone, its signing key among them")
    everywhere(demo, search)
    screen.say(f"{search.bytes / 1e6:.0f} MB were searched for {len(needles)} texts and keys in {len(search.needles)} forms")


def everywhere(demo, search):
    stack, backend = demo.stack, demo.world.backend.process
    report("secrecy.backend_files", demo, search.in_files(stack.path("backend"), "files"), "the backend's files")
    report("secrecy.backend_memory", demo, search.in_memory(backend.popen.pid, "memory"), "the backend's memory")
    for name, home in demo.homes.items():
        gateway = home.gateway.process
        report("secrecy.gateway_files", demo, search.in_files(stack.path(f"{name}-gateway"), "files"), f"files of {name}'s gateway")
        report("secrecy.gateway_memory", demo, search.in_memory(gateway.popen.pid, "memory"), f"memory of {name}'s gateway")
    infra = [box.process for box in demo.world.all_infra()]
    hits = set()
    for process in infra:
        # Each is told the planted text as what to look for, so it has that; keys and codes it must not have.
        hits |= {hit for hit in search.in_memory(process.popen.pid, process.name) if hit[1] != "planted text"}
    report("secrecy.infra_memory", demo, hits, "the memory of the equipment in between (but the text it was told to look for)")
    logs = in_logs(search, [backend, *(home.gateway.process for home in demo.homes.values()), *infra])
    report("secrecy.logs", demo, logs, "logs of backend, gateways and the equipment in between")
    sightings = [sighting for box in demo.world.all_infra() for sighting in box.seen(1).get("sightings", [])]
    report("secrecy.wire", demo, {(f"seen by the equipment as {s['form']}", "planted text", s["form"]) for s in sightings},
           "everything that passed the relays and balancers")


def report(name, demo, hits, where):
    text = ", ".join(sorted(f"{canary} ({form})" for _, canary, form in hits))
    demo.checks.check(name, not hits, f"nothing in {where}" if not hits else f"FOUND in {where}: {text}")
