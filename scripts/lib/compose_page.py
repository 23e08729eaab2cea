#!/usr/bin/env python3
"""The owners' pages of a running project, as a browser on this machine reaches them. By itself it prints their addresses: scripts/page."""

import argparse
import http.client
import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "scripts/lib")]

import compose
import harness
from harness import Failure
from product import expect

HOMES = ("acme", "globex")
PAGE_PORT = 8080
PROMETHEUS_PORT = 9090
TOKEN = "/state/page-token"
PLACE = ("topic", "stream", "epoch", "sequence")
# Who has a record that came from a device of acme to its phone, and in which form the page shows the sealed object itself.
HOLDERS = {"acme-hub": "passed", "acme-gateway": "disk", "balancer": "passed", "backend": "keystore"}
RELAYS = ("acme-hub", "acme-router", "balancer")
CONTROL = ("CONTROL: control-gateway", "CONTROL: control-backend")


class Page:
    """One owner's page. It asks as a browser does; `token` is what whoever opens its address has."""

    def __init__(self, project, home):
        self._phone = project.container(f"{home}-phone")
        self.host = self._phone.published(PAGE_PORT)
        self.token = self._phone.read(TOKEN).decode("ascii").strip()

    @property
    def url(self):
        return f"http://{self.host}/#token={self.token}"

    def ask(self, method, path, body=None, token=None):
        """(code, headers, body) of one request."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        connection = http.client.HTTPConnection(self.host, timeout=10)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except OSError as error:
            raise Failure(f"{method} http://{self.host}{path}: {error}") from error
        finally:
            connection.close()

    def api(self, method, path, body=None):
        code, _, answer = self.ask(method, f"/api/v1/{path}", body, self.token)
        expect(200 <= code < 300, f"{method} {path} was answered with {code}: {answer[:300]}")
        return json.loads(answer)

    def newest(self, device):
        """The place of the newest reading of a device."""
        for one in self.api("GET", "home")["devices"]:
            if one["device"] == device and one["channels"]:
                channel = max(one["channels"], key=lambda channel: channel["taken_us"])
                return {"sender": one["member"], **{part: channel[part] for part in PLACE}}
        raise Failure(f"the page shows no reading of {device}")

    def look(self, place):
        """What everybody else holds of it: name → holding; and the digest of what this app opened there."""
        answer = self.api("POST", "others/looks", place)
        return {holding["name"]: holding for holding in answer["holders"]}, answer["opened_sha256"]


def owners_pages(demo):
    """That each page answers whoever has its address, and nobody else."""
    demo.screen.stage("The owners' pages", "Each phone serves a page to a browser on this machine, published on loopback. Without the token in its "
                      "address it says nothing.")
    found = {}
    for home in HOMES:
        page = Page(demo.project, home)
        code, headers, body = page.ask("GET", "/")
        policy = headers.get("Content-Security-Policy", "")
        found[home] = (code, b"<html" in body, "default-src 'none'" in policy or "default-src 'self'" in policy, "unsafe" in policy,
                       page.ask("GET", "/api/v1/home")[0], page.ask("GET", "/api/v1/home", token="0" * 64)[0],
                       page.ask("GET", "/api/v1/home", token=page.token)[0])
    right = (200, True, True, False, 401, 401, 200)
    wrong = {home: one for home, one in found.items() if one != right}
    demo.checks.check("page.answers", not wrong, f"both pages come with a policy that lets in nothing foreign; what they show needs the token {wrong or ''}")
    others(demo)


def others(demo):
    """The same record at the same moment, asked of each process that has it."""
    page = Page(demo.project, "acme")
    looked, took = [], []

    def all_have_it():
        started = time.monotonic()
        looked[:] = [page.look(page.newest("bulb"))]
        took.append(time.monotonic() - started)
        return not missing(*looked[0])
    try:
        harness.wait_until(all_have_it, "everybody to have the newest reading", 20)
    except Failure:
        pass
    holdings, opened = looked[0]
    lacks = missing(holdings, opened)
    disk = [copy for copy in holdings["backend"]["copies"] if copy["form"] == "disk"]
    tls = all(holdings[name]["tls"] for name in RELAYS)
    demo.checks.check("page.others", not lacks, "hub, gateway, balancer and backend hold the record whose digest the phone opened: "
                      f"{opened[:16]}… {lacks or ''}")
    demo.checks.check("page.unreadable", disk and all(copy["header"] is None for copy in disk) and tls,
                      "what lies on the backend's disk shows not even whose it is, and the relays show TLS records")
    demo.screen.say(f"one look at all of them took {min(took):.2f} s, the slowest of {len(took)} {max(took):.2f} s")
    control(demo, page, holdings)


def missing(holdings, opened):
    """Who does not show the sealed object that was opened, and what it says instead."""
    if not opened:
        return {"acme-phone": "opened nothing there"}
    return {name: holdings[name]["error"] or sorted(copies_of(holdings[name])) for name, form in HOLDERS.items()
            if form not in copies_of(holdings[name], opened)}


def copies_of(holding, sha256=None):
    """The forms in which it has just these bytes, or any. The backend's disk has others, which only its keystore makes into these."""
    return {copy["form"] for copy in holding["copies"] if sha256 in (None, copy["sha256"])}


def control(demo, page, holdings):
    """Beside it the unprotected control, where it runs."""
    if demo.control is None:
        said = [holdings[name]["error"] for name in CONTROL]
        demo.checks.check("page.no_control", all(said), f"the control does not run (profile control), and the page says so {'' if all(said) else said}")
        return
    text = demo.control.encode().hex()
    seen = []

    def readable():
        seen[:] = [page.look(page.newest("bulb"))[0]]
        return all(any(text in copy["bytes"] for copy in seen[0][name]["copies"]) for name in CONTROL)
    try:
        harness.wait_until(readable, "the control to show its text", 20)
        shown = True
    except Failure:
        shown = False
    demo.checks.check("page.control", shown, "beside it the unprotected control shows its readings in plain text, at its gateway and at its "
                      f"backend {'' if shown else {name: seen[0][name]['error'] for name in CONTROL}}")


def attack(demo):
    """One attack from the page: what it did, and that the app noticed it at exactly that place."""
    demo.screen.stage("An attack from the page", "The balancer changes the next reading on its way to the phone, because the page told it to.")
    page = Page(demo.project, "acme")
    number = page.api("POST", "attacks", {"equipment": "balancer", "kind": "modify", "target": "cose_tag", "listener": "backend-app",
                                          "topic_prefix": "telemetry/", "direction": "down", "count": 1})["attack"]
    mine = []

    def noticed():
        mine[:] = [one for one in page.api("GET", "attacks")["attacks"] if (one["equipment"], one["attack"]) == ("balancer", number)]
        return mine and mine[0]["injections"] and mine[0]["injections"][0]["notices"]
    try:
        harness.wait_until(noticed, "the app to notice", 20)
    except Failure:
        pass
    injection = mine[0]["injections"][0] if mine and mine[0]["injections"] else {}
    kinds = [notice["kind"] for notice in injection.get("notices", [])]
    demo.checks.check("page.attack", "open_failed" in kinds and not injection["opened_sha256"],
                      f"the phone noticed at exactly that record: {', '.join(kinds) or 'nothing'}; nothing was opened there")
    place = {part: injection.get(part) for part in ("topic", "sender", "epoch", "stream", "sequence")}
    holdings = page.look(place)[0]
    sent = [copy for copy in holdings["balancer"]["copies"] if copy["form"] == "sent" and copy["attack"] == number]
    demo.checks.check("page.altered", sent and sent[0]["sha256"] == injection["injected_sha256"] != injection["original_sha256"]
                      and "keystore" in copies_of(holdings["backend"], injection["original_sha256"]),
                      "asked for that place, the balancer shows what it sent on, and the backend what it still has")
    page.api("POST", "attacks/disarming", {})


def addresses(project):
    """(what, address) of each page there is."""
    running = project.services()
    pages = [(f"{home}-phone", Page(project, home).url) for home in HOMES if f"{home}-phone" in running]
    if "prometheus" in running:
        pages.append(("prometheus", f"http://{project.container('prometheus').published(PROMETHEUS_PORT)}/"))
    return pages


def main():
    parser = argparse.ArgumentParser(prog="scripts/page", description="Prints the addresses of the pages of a running Compose project. Whoever has "
                                     "an owner's address may do what the owner may.")
    parser.add_argument("--project", default=compose.DEFAULT_PROJECT)
    name = parser.parse_args().project
    trouble = compose.engine_says()
    if trouble:
        sys.exit(f"error: no container engine: {trouble}")
    project = compose.Project(name)
    try:
        found = addresses(project)
        for name, address in found:
            print(f"{name:13} {address}")
        if not found:
            sys.exit(f"error: project {project.name} runs no phone yet: if `docker compose up` is still building or starting, wait until "
                     "it says that acme-phone has started")
    except Failure as failure:
        sys.exit(f"error: {failure}")
    finally:
        project.close()


if __name__ == "__main__":
    main()
