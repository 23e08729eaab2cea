"""The search for the planted text and for the phones' keys in what containers keep and log, with the control that shows it can see."""

import io
import os
import re
import tarfile
import tempfile

import demo_keys
from demo_canary import Search


def planted_text(meter):
    """The text in the readings of the homes' meters, from the device's own volume."""
    found = re.search(r'^column = "((?:unprotected-)?canary-[0-9a-f]+)"$', meter.read("/keys/planted.toml").decode(), re.M)
    return found.group(1)


def in_volume(search, container, path):
    """Every file below `path` in the container."""
    hits = set()
    with tarfile.open(fileobj=io.BytesIO(container.copy_out(path))) as archive:
        for member in archive.getmembers():
            if member.isfile():
                hits |= search.in_stream(archive.extractfile(member).read, f"{container.name}:{member.name}")
    return hits


def in_logs(search, container):
    """What the engine kept of its output, from the first line on."""
    result = container.project.docker("logs", container.id, text=False, patience=120)
    return search.in_bytes(result.stdout, container.name) | search.in_bytes(result.stderr, container.name)


def phone_keys(demo, home):
    """As demo_keys reads them, from the phone's volume and from the recovery key's, which no running container has."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "member"), "wb") as file:
            file.write(home.phone.read("/state/member"))
        recovery = os.path.join(folder, "recovery")
        with open(recovery, "wb") as file:
            file.write(demo.project.container(f"{home.name}-join").read("/recovery/key"))
        return demo_keys.of_phone(home.name, folder, recovery)


def secrecy(demo):
    screen, checks, project = demo.screen, demo.checks, demo.project
    screen.stage("Search for the planted text and for keys", "A text is planted in readings of both homes. It must be nowhere in what backend, gateways "
                 "and equipment keep or log: raw, in hex or in base64; nor may any key of a phone.")
    control(demo)
    keys = {}
    for home in demo.homes.values():
        keys |= phone_keys(demo, home)
    texts = {planted_text(home.devices["meter"].process) for home in demo.homes.values()}
    search = Search({**{f"planted text {number}": text for number, text in enumerate(sorted(texts))}, **keys})
    phone = demo.homes["acme"].phone
    checks.check("secrecy.search_sees_logs", in_logs(search, phone), "it finds the text in what the phone shows")
    held = {name for _, name, _ in in_volume(search, phone, "/state")}
    checks.check("secrecy.search_sees_volumes", any(name.startswith("signing key") for name in held),
                 f"and {len(held & set(keys))} of {len(keys)} keys in the phone's own volume, its signing key among them")
    backend = project.container("backend")
    report(demo, "backend_volumes", in_volume(search, backend, "/state") | in_volume(search, backend, "/keystore"), "the backend's volumes")
    gateways = [home.gateway.process for home in demo.homes.values()]
    report(demo, "gateway_volumes", set().union(*(in_volume(search, gateway, "/state") for gateway in gateways)), "the gateways' volumes")
    others = [container for name, container in project.processes.items()
              if name == "backend" or name.endswith(("-gateway", "-hub", "-router", "balancer"))]
    report(demo, "logs", set().union(*(in_logs(search, container) for container in others)),
           f"the logs of backend, gateways and equipment ({len(others)} containers)")
    screen.say(f"{search.bytes / 1e6:.1f} MB were searched for {len(keys) + len(texts)} texts and keys in {len(search.needles)} forms")


def report(demo, name, hits, where):
    found = ", ".join(sorted(f"{text} ({form}) in {place}" for place, text, form in hits))
    demo.checks.check(f"secrecy.{name}", not hits, f"nothing in {where}" if not hits else f"FOUND in {where}: {found[:300]}")


def control(demo):
    """The same product with its sealing switched off: here the search must find the text."""
    if demo.control is None:
        demo.screen.say("no unprotected control runs beside this (docker compose --profile control up -d): that the search sees an unsealed store "
                        "is not shown here")
        return
    search = Search({"planted text": demo.control})
    found = {name: in_volume(search, demo.project.container(name), "/state") for name in ("control-backend", "control-gateway")}
    blind = [name for name, hits in found.items() if not hits]
    demo.checks.check("secrecy.control_found", not blind, "with sealing off the search finds it in the volumes of " + " and ".join(found) +
                      (f"; but NOT of {', '.join(blind)}" if blind else ""))
