"""The demonstration's search for planted texts, with the control that shows the search can see."""

import harness
import product
from demo_canary import Search
from harness import Stack
from home import Home
from product import ACME, Pki


def control(demo, bins):
    """The same product, built with its sealing switched off: here the search must find the text everywhere."""
    with Stack("control", mutant="no_sealing", bins=bins) as stack:
        pki = Pki(stack, [ACME])
        backend = product.start_backend(stack, pki)
        home = Home(stack, pki, ACME, "open", backend)
        home.found()
        path = stack.path("planted.csv")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{demo.canary}\n" + "1.5\n" * 100)
        home.add_device("planted", None, "--replay", path, "--column", demo.canary, "--rate", "20", "--interval", "0.1")
        home.pair_devices()
        home.app.watch().wait_readings("planted", 5)
        search = Search({"planted text": demo.canary})
        found = {
            "files of the backend": search.in_files(stack.path("backend"), "backend files"),
            "files of the gateway": search.in_files(stack.path("open-gateway"), "gateway files"),
            "memory of the backend": search.in_memory(backend.process.popen.pid, "backend memory"),
            "memory of the gateway": search.in_memory(home.gateway.process.popen.pid, "gateway memory"),
        }
        stack.stop()
    return found


def search_forms(demo):
    """The search also finds each form in which a text could hide."""
    import base64
    raw = demo.canary.encode()
    hidden = {"raw": b"xx" + raw, "hex": b"xx" + raw.hex().encode(), "HEX": b"xx" + raw.hex().upper().encode(),
              **{f"base64 +{shift}": base64.b64encode(b"x" * shift + raw + b"yz") for shift in range(3)}}
    search = Search({"planted text": demo.canary})
    return [form for form, data in hidden.items() if not search.in_bytes(data, form)]


def secrecy(demo, control_bins):
    screen, checks = demo.screen, demo.checks
    screen.stage("Search for planted text", "A text was planted in readings of both homes. It must be nowhere in files, logs or memory of gateways "
                 "and backend: raw, in hex or in base64. A search proves nothing until it has found something, so first "
                 "the same product runs with its sealing switched off.")
    found = control(demo, control_bins)
    checks.check("secrecy.control_found", all(found.values()) and not search_forms(demo),
                 "with sealing off the search finds it in " + ", ".join(place for place, hits in found.items() if hits))
    canaries = {"planted text": demo.canary, **demo.secrets}
    search = Search(canaries)
    device = demo.homes["acme"].devices["planted-acme"].process
    own = search.in_memory(device.popen.pid, "the device itself")
    checks.check("secrecy.search_sees_memory", any(name == "planted text" for _, name, _ in own),
                 "and in the memory of the device that measures it")
    backend = demo.world.backend.process
    stack = demo.stack
    report("secrecy.backend_files", demo, search.in_files(stack.path("backend"), "files"), "the backend's files")
    report("secrecy.backend_memory", demo, search.in_memory(backend.popen.pid, "memory"), "the backend's memory")
    for name, home in demo.homes.items():
        gateway = home.gateway.process
        report("secrecy.gateway_files", demo, search.in_files(stack.path(f"{name}-gateway"), "files"), f"files of {name}'s gateway")
        report("secrecy.gateway_memory", demo, search.in_memory(gateway.popen.pid, "memory"), f"memory of {name}'s gateway")
    logs = set()
    for process in [backend, *(home.gateway.process for home in demo.homes.values()),
                    *(infra.process for infra in demo.world.all_infra())]:
        for path in (process.log.path, process.output, process.errors):
            if path.exists():
                logs |= search.in_files(path, process.name)
    report("secrecy.logs", demo, logs, "logs of backend, gateways and the equipment in between")
    sightings = [sighting for infra in demo.world.all_infra() for sighting in infra.seen(1).get("sightings", [])]
    report("secrecy.wire", demo, {(f"seen by the equipment as {s['form']}", "planted text", s["form"]) for s in sightings},
           "everything that passed the relays and balancers")
    screen.say(f"{search.bytes / 1e6:.0f} MB were searched for {len(canaries)} texts in {len(search.needles)} forms")


def report(name, demo, hits, where):
    text = ", ".join(sorted(f"{canary} ({form})" for _, canary, form in hits))
    demo.checks.check(name, not hits, f"nothing in {where}" if not hits else f"FOUND in {where}: {text}")
