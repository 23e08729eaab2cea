"""S6: three manufacturers' customers at one backend: what one tenant can see, touch or disturb of another."""

import functools
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import time

import prometheus
from demo_canary import Search
from harness import ROOT
from provider_account import administer
from registry import assertion, expect
from shared_cloud import CUSTOMERS, PRODUCTS, Cloud, expected_cells, places_of, rows_of
from sockets import doors

SERVED = ("Transport", "Registry", "TenantAdmin", "Observer")  # of backend/policy.cc, what goes by names
ROLES = ("device", "gateway", "thirdparty", "service", "admin")              # of a hostile tenant, beside its apps
SOME = 4  # of the others' instantiations every fourth is tried in these roles too
SYNTHETIC = "CANARY-4711-do-not-leak"  # in every synthetic device's telemetry: tests/isolation/household.h
LEAVES = "umbrella"                    # a manufacturer without customers here, who comes and goes
OK, INVALID, NOT_FOUND, DENIED, UNIMPLEMENTED, DATA_LOSS = 0, 3, 5, 7, 12, 15
ANSWERS_OF_ONES_OWN = ("TenantAdmin/List",)  # from the caller's own tenant, whatever is named
# Times tell when of so many pairs at least, whose order is drawn, "not yours" is the slower or the quicker one in more than this
# share, which chance does once in a million, and by more than this part of an answer.
PAIRS, SHARE, SLOWER = 100, 0.7, 0.2
QUOTA = 100  # records a second of the noisy tenant, which offers ten times as many
TAIL = 5     # others' p99 beside a noisy neighbour, as a multiple of that alone
MEASURES = 3  # at most: what else this machine does can make a ratio larger, and never smaller three times
SECONDS = 4  # with the neighbour, and so many without it
NOISE = ("--rate", 20, "--behaviour", "rate10", "--warm-up-seconds", "0.5", "--alone-seconds", SECONDS, "--neighbour-seconds", SECONDS,
         "--recovery-seconds", "0.5")


def host_of(run):
    return run.adversary("adv-host").machine("backend")


def control(wired):
    """With sealing off: in which forms the planted text is in what a backend would hand out."""
    search = Search({"planted text": wired.canary.untold})
    return {"content": sorted({form for _, _, form in search.in_files(wired.paths("backend", "machine").content("unsealed"))})}


@functools.cache
def cloud(run):
    """All instantiations, founded once: (Cloud, [Instantiation])."""
    there = Cloud(run.wired, "backend")
    return there, there.found_all()


def synthetic(run):
    return [one for one in cloud(run)[1] if not one.live]


def open_with(run, instantiations, name):
    folder = pathlib.Path(run.stack.path(name))
    folder.mkdir(mode=0o700)
    for one in instantiations:
        shutil.copy(one.ring, folder)
    return host_of(run).opened_with(folder)


def places(run):
    _, there = cloud(run)
    return places_of(rows_of(host_of(run).records()), {one.id for one in there if one.live})


@assertion("S6.3")
def each_has_keys_of_its_own(run):
    _, there = cloud(run)
    found = open_with(run, there, "all-rings")
    wanted = len(run.wired.products) * CUSTOMERS * PRODUCTS
    file = run.keep("S6.3.json", found)
    expect(len(there) == wanted == found["instantiations"], f"{len(there)} instantiations, {found['instantiations']} in the database", [file])
    expect(len(found["opened"]) == wanted, f"with all keys {len(found['opened'])} instantiations open: the opener does not see", [file])
    expect(found["pairs"] == wanted, f"{wanted} rings open {found['pairs']} pairs of ring and instantiation", [file])
    expect(found["repeated_plaintexts"] >= len(synthetic(run)), f"only {found['repeated_plaintexts']} records have a plaintext in common", [file])
    expect(found["their_sealed_forms"] == found["repeated_plaintexts"],
           f"{found['repeated_plaintexts']} records of equal plaintexts have {found['their_sealed_forms']} sealed forms", [file])
    return (f"{wanted} rings, {wanted} instantiations: each ring opens exactly one, each is opened by exactly one, in {found['tries']} tries; "
            f"{found['repeated_plaintexts']} records whose plaintext stands elsewhere too, {found['their_sealed_forms']} sealed forms"), [file]


def hostile(run, tenant):
    """The certificates of one tenant in hostile hands: what the scenario grants of its customer's app, and others that its own authority
    signed."""
    name = f"app-{tenant.split('.')[0]}-0"
    app = run.adversary("adv-tenant").leaf(name)
    return [app, *(run.wired.pki_at("backend").leaf(tenant, role, "hostile") for role in ROLES)]


@functools.cache
def matrix(run):
    """Every tenant at every other's: (Attack, how many cells there must be, the file of all that was given out)."""
    _, instantiations = cloud(run)
    at, callers = places(run), []
    for tenant in dict.fromkeys(one.tenant for one in instantiations):
        others = [one for one in instantiations if one.tenant != tenant]
        some = others[::SOME]
        app, *rest = hostile(run, tenant)
        callers += [(app, [(one, at[one.id]) for one in others]), *((leaf, [(one, at[one.id]) for one in some]) for leaf in rest)]
    received = pathlib.Path(run.stack.path("received"))
    received.touch(mode=0o600)
    return Attack(run, callers, "--received", received), expected_cells(callers, SERVED), received


class Attack:
    """The lines of all cells, how many calls were refused, and how often the backend rang meanwhile."""

    def __init__(self, run, callers, *options):
        before = rung(run)
        self.cells = cloud(run)[0].ask("attack", callers, *options)
        self.refused, self.rang = sum(cell["refused_calls"] for cell in self.cells), rung(run) - before


def metrics(run):
    backend = run.wired.process("backend")
    return run.wired.within("backend", lambda: prometheus.get(f"http://127.0.0.1:{backend.port('metrics')}/metrics"))


def rung(run):
    """How often the backend rang because somebody may not do something, also where its log leaves lines out."""
    return int(float(re.search(r'^keystead_security_events_total\{kind="not_permitted"\} ([0-9.e+]+)$', metrics(run), re.MULTILINE).group(1)))


def may_answer(cell):
    """Whether this is how a call that aims at another's is answered."""
    if cell["code"] == OK:
        return cell["rpc"] in ANSWERS_OF_ONES_OWN
    if cell["rpc"] in ("TenantAdmin/Create", "Registry/Submit"):  # what is brought is bad in itself
        return cell["code"] in (INVALID, DENIED, NOT_FOUND)
    return cell["code"] in (NOT_FOUND, DENIED) or (cell["rpc"].startswith("Observer/") and cell["code"] == UNIMPLEMENTED)


def wrong_with(cell):
    if not may_answer(cell):
        return f"answered with code {cell['code']} {cell['message']}".strip()
    if cell["names_victim"]:
        return "an answer that names the victim"
    return "" if cell["same_as_absent"] else "another answer than for what does not exist"


def slower(cells):
    """RPC → by how much its answers on what is another's differ in time from those on what does not exist, where that is too much."""
    found = {}
    for rpc in sorted({cell["rpc"] for cell in cells}):
        pairs = [cell for cell in cells if cell["rpc"] == rpc]
        difference = statistics.median(cell["us"] - cell["absent_us"] for cell in pairs)
        answer = statistics.median(cell["absent_us"] for cell in pairs)
        share = sum((cell["us"] > cell["absent_us"]) == (difference > 0) for cell in pairs) / len(pairs)
        found[rpc] = (len(pairs), round(difference, 1), round(answer, 1), round(share, 2))
    return {rpc: times for rpc, times in found.items()
            if times[0] >= PAIRS and times[3] > SHARE and abs(times[1]) > SLOWER * times[2]}, found


def judge(name, run, attack, wanted):
    cells = attack.cells
    wrong = [(cell, wrong_with(cell)) for cell in cells if wrong_with(cell)]
    late, times = slower(cells)
    codes = {}
    for cell in cells:
        codes[cell["code"]] = codes.get(cell["code"], 0) + 1
    file = run.keep(f"{name}.json", {"cells": len(cells), "expected": wanted, "codes": codes, "pairs, µs more for not yours, µs, share of pairs": times,
                                     "wrong": [{**cell, "wrong": why} for cell, why in wrong[:200]]})
    expect(len(cells) == wanted, f"{len(cells)} cells were tried of {wanted}", [file])
    expect(not wrong, f"{len(wrong)} of {wanted} cells do not hold, such as "
           + ", ".join(f"{cell['attacker']} at {cell['victim']} by {cell['rpc']}: {why}" for cell, why in wrong[:1]), [file])
    expect(not late, f"the time tells what is another's: {late}", [file])
    expect(attack.rang == attack.refused, f"{attack.refused} calls were refused, and the backend rang {attack.rang} times", [file])
    return codes, times, file


def owners_get_theirs(run):
    """The same backend answers who is entitled: how many groups and commits."""
    there, instantiations = cloud(run)
    seen = there.look(instantiations, places(run))
    empty = [name for name, line in seen.items() if line["code"] != OK or not line["caught_up"] or not line["groups"] or not line["commits"]]
    expect(len(seen) == len(instantiations) and not empty, f"of {len(seen)} owners {len(empty)} get nothing: refusals prove nothing")
    return sum(line["groups"] for line in seen.values())


@assertion("S6.1a")
def no_tenant_reaches_anothers(run):
    groups = owners_get_theirs(run)
    attack, wanted, _ = matrix(run)
    codes, times, file = judge("S6.1a", run, attack, wanted)
    most = max(abs(difference) for _, difference, *_ in times.values())
    return (f"{wanted} cells of {len(run.wired.products)} tenants, {1 + len(ROLES)} roles each: answered with {codes}, each as for what does not exist, "
            f"the median of times at most {most} µs apart; {attack.refused} calls refused, as many events; their owners get {groups} groups"), [file]


@assertion("S6.1b")
def no_customer_reaches_anothers(run):
    there, instantiations = cloud(run)
    at, callers = places(run), []
    for tenant in dict.fromkeys(one.tenant for one in instantiations):
        for number in range(CUSTOMERS):
            theirs = [one for one in instantiations if one.tenant == tenant and one.customer == (number + 1) % CUSTOMERS]
            callers.append((there.customer(tenant, number), [(one, at[one.id]) for one in theirs]))
    codes, _, file = judge("S6.1b", run, Attack(run, callers), expected_cells(callers, SERVED))
    return f"each of {len(callers)} customers tries {PRODUCTS} instantiations of another of the same manufacturer: answered with {codes}, and one event for each refusal", [file]


@assertion("S6.4")
def keys_hold_where_a_filter_is_missing(run):
    _, instantiations = cloud(run)
    _, _, received = matrix(run)
    canaries = {"planted text": run.wired.canary.untold, "synthetic text": SYNTHETIC}
    handed_out = host_of(run).content("handed-out")
    hits = {(path.name, what) for path in (pathlib.Path(handed_out), received) for _, what, _ in Search(canaries).in_files(path)}
    rows = []
    for tenant in dict.fromkeys(one.tenant for one in instantiations):
        own = {one.id for one in instantiations if one.tenant == tenant}
        found = open_with(run, [one for one in instantiations if one.id in own], f"rings-{tenant}")
        rows.append({"tenant": tenant, "own": len(own), "opened": sorted(found["opened"]), "foreign": sorted(set(found["opened"]) - own),
                     "tries": found["tries"]})
    file = run.keep("S6.4.json", {"hits": sorted(map(list, hits)), "with_sealing_off": run.control.found["content"], "by_rpc": received.stat().st_size,
                                  "rows": rows})
    expect(run.control.found["content"], "with sealing off the search finds nothing there either", [file])
    expect(all(set(row["opened"]) >= {one.id for one in instantiations if one.tenant == row["tenant"]} for row in rows),
           "a tenant's own keys do not open its own: the opener does not see", [file])
    expect(not hits, f"readable without any key: {sorted(hits)}", [file])
    expect(not any(row["foreign"] for row in rows), f"opened with another tenant's keys: {[(row['tenant'], len(row['foreign'])) for row in rows]}", [file])
    return (f"whatever a missing filter would hand out ({pathlib.Path(handed_out).stat().st_size} bytes of all tenants; by RPC {received.stat().st_size} came): "
            f"{sum(row['tries'] for row in rows)} tries with each tenant's own {rows[0]['own']} rings open none of another's"), [file]


def pairs_of(run, rows):
    """Synthetic telemetry rows in pairs, each of an instantiation of its own: across tenants, and within one."""
    by_tenant = {}
    for one in synthetic(run):
        line = next(line for line in rows[one.id] if line["topic"].startswith("telemetry/") and line["sequence"] == 1)
        by_tenant.setdefault(one.tenant, []).append(line)
    first, second, third = by_tenant.values()
    across = [(first[0], second[0]), (first[1], third[0]), (second[1], third[1]), (first[2], second[2])]
    within = [(first[3], first[4]), (second[3], second[4]), (third[3], third[4]), (third[5], third[6])]
    return across, within


def at(line):
    return {key: line[key] for key in ("tenant", "log", "offset", "sequence")}


@assertion("S6.2")
def an_exchanged_row_opens_nowhere(run):
    there, instantiations = cloud(run)
    host = host_of(run)
    rows, where = rows_of(host.records()), places(run)
    across, within = pairs_of(run, rows)
    orders = [{"do": do, "at": at(one), "with": at(other)} for couples in (across, within)
              for number, (one, other) in enumerate(couples) for do in (("swap", "move")[number % 2],)]
    swapped = {line["instantiation"] for couples in (across, within) for pair in couples[::2] for line in pair}
    moved = {line["instantiation"] for couples in (across, within) for pair in couples[1::2] for line in pair}
    before, seen = open_with(run, synthetic(run), "before-exchange"), there.look(synthetic(run), where)
    host.stop()
    done = host.manipulate(orders, run.seed)
    host.start()
    after, shown = open_with(run, synthetic(run), "after-exchange"), there.look(synthetic(run), where)
    others = [one for one in synthetic(run) if one.id in moved]
    rest = there.look(others, {one.id: [place for place in where[one.id] if not place["topic"].startswith("telemetry/")] for one in others})
    lost = {name: before["opened"][name] - after["opened"].get(name, 0) for name in before["opened"]}
    groups = {line["instantiation"]: (line["log"], line["offset"]) for couples in (across, within) for pair in couples[1::2] for line in pair}
    of_one_group = {name: sum((line["log"], line["offset"]) == group for line in rows[name]) for name, group in groups.items()}
    file = run.keep("S6.2.json", {"done": done, "lost": lost, "swapped": sorted(swapped), "moved": sorted(moved), "owners": shown, "other topics": rest})
    expect(len(swapped) == len(moved) == 8 and not before["closed_groups"], f"{len(swapped)} rows are swapped and {len(moved)} moved", [file])
    wanted = {name: 1 if name in swapped else of_one_group.get(name, 0) for name in lost}
    wrong = {name: (lost[name], wanted[name]) for name in lost if lost[name] != wanted[name]}
    expect(not wrong, f"records that no longer open, and that should not, differ at {len(wrong)} instantiations: {list(wrong.items())[:2]}", [file])
    expect(after["closed_groups"] == len(moved), f"{after['closed_groups']} groups do not open at rest, and {len(moved)} were moved", [file])
    told = {name: shown[name]["code"] for name in moved}
    expect(all(code in (DATA_LOSS, NOT_FOUND) for code in told.values()), f"who asks for a moved row is told {told}", [file])
    touched = [name for name in shown if name not in swapped | moved and shown[name] != seen[name]]
    expect(not touched, f"owners of {len(touched)} other instantiations get something else than before", [file])
    bad = [name for name, line in rest.items() if line["code"] != OK or not line["groups"]]
    expect(len(rest) == len(moved) and not bad, f"other topics of {len(bad)} instantiations with a moved row are not served", [file])
    run.new_readings()
    return (f"{len(swapped) + len(moved)} rows of as many instantiations exchanged, within tenants and across: {sum(lost.values())} records open no more, all "
            f"in those rows; {len(shown) - len(swapped | moved)} other instantiations and other topics of the same are served as before"), [file]


def unlike(before, after):
    return [name for name in before if before[name] != after.get(name)]


@assertion("S6.6")
def one_tenant_comes_and_goes(run):
    there, _ = cloud(run)
    host, tenant, others = host_of(run), run.wired.tenants[LEAVES], synthetic(run)
    there.certificates(tenant, 1)
    leaving = there.found(tenant, 0, PRODUCTS)
    start, rows = places(run), rows_of(host.records())
    ids = {one.id for one in others}
    own = there.look(leaving, start)
    seen, stored = there.look(others, start), {name: rows[name] for name in ids}
    receipts = ("--provider-ca", run.wired.pki_at("backend").provider_roots)
    backup = run.stack.path("leaving.backup")
    steps = {
        "export": ("export", tenant, "--out", run.stack.path("leaving.export")),
        "backup": ("backup", tenant, "--out", backup),
        "restore": ("restore", tenant, "--in", backup, "--confirm", tenant),
        "erasure of an instantiation": ("erase", tenant, "--instantiation", leaving[0].id, "--confirm", tenant, "--out", run.stack.path("one.receipt"), *receipts),
        "erasure of the tenant": ("erase", tenant, "--confirm", tenant, "--out", run.stack.path("all.receipt"), *receipts),
    }
    told = {}
    for name, words in steps.items():
        answer = administer(run.wired, *words, check=False)
        expect(answer.returncode == 0, f"the {name} is refused: {answer.stderr.strip()}")
        now = rows_of(host.records())
        told[name] = {"owners": unlike(seen, there.look(others, start)), "rows": unlike(stored, now), "rows of the leaving": sum(one.id in now for one in leaving)}
        if name == "restore":
            told[name]["own"] = unlike({key: line["groups"] for key, line in own.items()},
                                       {key: line["groups"] for key, line in there.look(leaving, start).items()})
    export = pathlib.Path(run.stack.path("leaving.export")).read_bytes()
    strangers = [name for name in ids if bytes.fromhex(name) in export]
    file = run.keep("S6.6.json", {"compared": len(ids), "steps": told})
    changed = {name: step for name, step in told.items() if step["owners"] or step["rows"]}
    expect(not changed, f"others are not what they were after {list(changed)}", [file])
    expect(not strangers and all(bytes.fromhex(one.id) in export for one in leaving), f"the export holds {len(strangers)} instantiations of others", [file])
    expect(not told["restore"]["own"], "what was restored is not what was backed up", [file])
    left = [step["rows of the leaving"] for step in told.values()]
    expect(left[-3:] == [PRODUCTS, PRODUCTS - 1, 0], f"of the leaving tenant {left} instantiations are stored after each step", [file])
    run.new_readings()
    return f"after {', '.join(told)} of a fourth tenant {len(ids)} instantiations of the others are byte for byte what they were, to their owners and on the disk", [file]


def names_of(run):
    """Tenant → what only it may be told: its name and the ids of its instantiations."""
    names = {}
    for one in cloud(run)[1]:
        names.setdefault(one.tenant, {one.tenant}).add(one.id)
    return names


def documented_filter():
    """The command of docs/operations.md that gives a tenant its own lines of the log."""
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    return re.search(r"^jq -c --arg tenant .*?(?=\n```)", text, re.MULTILINE | re.DOTALL).group(0)


@assertion("S6.7a")
def logs_and_errors_name_nobody_else(run):
    attack, wanted, _ = matrix(run)
    cells, names = attack.cells, names_of(run)
    told = [cell for cell in cells if cell["error_names_victim"]]
    log = run.wired.process("backend").log.path
    everything = log.read_text(encoding="utf-8")
    counts, others = {}, {}
    for tenant in names:
        command = documented_filter().replace("acme.example", tenant).replace("backend.log", str(log))
        given = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True, timeout=30).stdout
        strangers = set().union(*(theirs for other, theirs in names.items() if other != tenant))
        counts[tenant] = {"lines": len(given.splitlines()), "of strangers": given.count("(somebody of another tenant)")}
        others[tenant] = [line for line in given.splitlines() if any(name in line for name in strangers)]
    file = run.keep("S6.7a.json", {"cells": wanted, "errors that name somebody": told[:50], "lines": counts, "lines that name others": others})
    expect(all(tenant in everything for tenant in names), "the log does not name every tenant: nothing was filtered", [file])
    expect(not told, f"{len(told)} errors name what is another's, such as by {told[0]['rpc'] if told else ''}", [file])
    expect(all(count["of strangers"] for count in counts.values()), f"it is not seen that somebody tried: {counts}", [file])
    expect(not any(others.values()), f"a tenant's lines name another: {next((found[0] for found in others.values() if found), '')}", [file])
    return f"{len(cells)} answers' texts name nobody else; of the log each tenant gets its own lines, with nobody else's name: {counts}", [file]


@assertion("S6.7b")
def administrators_are_told_of_nobody_else(run):
    names, told = names_of(run), {}
    for tenant in names:
        leaf = run.wired.pki_at("backend").leaf(tenant, "admin", "curious")
        path = run.stack.path(f"{tenant}.audit")
        shown = [administer(run.wired, *words, leaf=leaf) for words in (["list"], ["usage", tenant], ["limits", tenant], ["audit", "export", tenant, "--out", path])]
        audit = run.wired.stack.run("keystead-admin", "audit", "show", path, "--json").stdout
        text = "".join(answer.stdout + answer.stderr for answer in shown) + audit
        strangers = set().union(*(theirs for other, theirs in names.items() if other != tenant), {run.wired.tenants[LEAVES]})
        told[tenant] = {"bytes": len(text), "names itself": tenant in text, "others": sorted(name for name in strangers if name in text)}
    everybody = administer(run.wired, "list").stdout
    file = run.keep("S6.7b.json", told)
    expect(all(tenant in everybody for tenant in names), "the operator's list does not name all tenants: the search does not see", [file])
    expect(all(one["names itself"] for one in told.values()), f"an administrator is told nothing: {told}", [file])
    expect(not any(one["others"] for one in told.values()), f"an administrator is told of others: {told}", [file])
    return f"list, usage, limits and audit log of each of {len(told)} tenants name that tenant and no other; the operator's list names all", [file]


@assertion("S6.7c")
def metrics_name_one_tenant_a_line(run):
    names = names_of(run)
    backend = run.wired.process("backend")
    address = f"127.0.0.1:{backend.port('metrics')}"
    lines = [line for line in metrics(run).splitlines() if line and not line.startswith("#")]
    ids = set().union(*names.values()) - set(names)
    people = [f"{role}-{tenant.split('.')[0]}-" for tenant in names for role in ("app", "device")]
    wide = [line for line in lines if sum(tenant in line for tenant in names) > 1 or any(name in line for name in (*ids, *people))]
    labelled = {tenant: sum(f'tenant="{tenant}"' in line for line in lines) for tenant in names}
    open_at = doors(backend.popen.pid)
    file = run.keep("S6.7c.json", {"lines": len(lines), "labelled": labelled, "wide": wide})
    expect(all(labelled.values()), f"no line says whose it is: {labelled}", [file])
    expect(not wide, f"a line names two tenants, an instantiation or a member: {wide[:1]}", [file])
    expect({one for one in open_at if one.endswith(f":{backend.port('metrics')}")} == {address}, f"it listens at {sorted(open_at)}: metrics not on loopback alone", [file])
    return f"{len(lines)} lines, served on loopback to the provider alone: none names two tenants, an instantiation or a member; of one tenant each {labelled}", [file]


def load_credentials(run, tenants):
    """A folder in certs/README.md's layout with customers' certificates alone: customer 1's apps and the synthetic devices."""
    there, folder = cloud(run)[0], pathlib.Path(run.stack.path("load-credentials"))
    for tenant in tenants:
        for leaf, role in ((there.customer(tenant, 1), "app"), *((there.customer(tenant, n, "device"), "device") for n in range(CUSTOMERS))):
            source = pathlib.Path(leaf.chain).parent
            target = folder / "tenants" / tenant / role / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(source, target)
    os.symlink(pathlib.Path(there.pki.folder) / "provider", folder / "provider")
    return folder


class Noise:
    """One measure: a noisy tenant beside the others, what it brought and how many of its records the backend refused."""

    def __init__(self, run, credentials, tenants, number):
        hop, noisy, report = cloud(run)[0].hop, tenants[-1], pathlib.Path(run.stack.path(f"load-{number}.json"))
        started = time.monotonic()
        before = usage(run, noisy)
        self.exit = run.stack.run("keystead-load", "--target", hop.address, "--target-id", hop.spiffe, "--roots", hop.roots, "--credentials",
                                  credentials, "--tenants", len(tenants), "--devices", CUSTOMERS, *NOISE, "--json", report, patience=60,
                                  check=False).returncode
        after = usage(run, noisy)
        self.seconds = time.monotonic() - started
        self.brought = after["records_in"] - before["records_in"]
        self.refused = after["refused"].get("records_per_second", 0) - before["refused"].get("records_per_second", 0)
        load = json.loads(report.read_text(encoding="utf-8"))
        [self.episode] = load["episodes"]
        self.tail = self.episode["ratios"]["p99"]
        # The burst, the time, and the one request that may go beyond what is left (keystead.v1.TenantLimits).
        self.most = QUOTA + QUOTA * self.seconds + load["plan"]["most_records_per_request"]

    def kept(self):
        return {"exit": self.exit, "seconds": self.seconds, "brought": self.brought, "most": self.most, "refused": self.refused, **{key: self.episode[key] for key in (
            "phases", "ratios", "jain", "aims", "victims", "neighbours", "records")}}


def usage(run, tenant):
    return json.loads(administer(run.wired, "usage", tenant, "--json").stdout)


@assertion("S6.5")
def a_noisy_tenant_disturbs_nobody(run):
    tenants = sorted(owner.tenant for owner in run.wired.products.values())
    noisy, credentials, measures = tenants[-1], load_credentials(run, tenants), []
    administer(run.wired, "limits", noisy, "--set", f"records_per_second={QUOTA}", f"records_burst={QUOTA}")
    while len(measures) < MEASURES and not (measures and measures[-1].tail <= TAIL):
        measures.append(Noise(run, credentials, tenants, len(measures)))
    administer(run.wired, "limits", noisy, "--set", "records_per_second=none", "records_burst=none")
    file = run.keep("S6.5.json", [measure.kept() for measure in measures])
    for one in measures:
        offered = one.episode["neighbours"]["records"]["offered"]
        expect(offered > 5 * QUOTA * SECONDS, f"the neighbour offers only {offered} records", [file])
        expect(one.refused > 0 and one.brought <= one.most,
               f"of {noisy} {one.brought} records came in within {one.seconds:.0f} s, where {one.most:.0f} may, and {one.refused} were refused: the quota does not hold", [file])
        expect(not any(phase["calls_ended"] for phase in one.episode["phases"].values()), "calls of others ended", [file])
    last = measures[-1]
    expect(last.tail <= TAIL, f"others' p99 is {', '.join(f'{one.tail:.2f}' for one in measures)} times that alone", [file])
    expect(last.episode["ratios"]["goodput"] >= 0.9, f"others get through {last.episode['ratios']['goodput']:.2f} of what they do alone", [file])
    run.new_readings()
    return (f"{noisy} offers {last.episode['neighbours']['records']['offered']} records and brings {last.brought} in {last.seconds:.0f} s, at a quota of {QUOTA} "
            f"a second; in the same run others' p99 is {last.tail:.2f} times that alone ({last.episode['phases']['alone']['p99_us']} µs), measure "
            f"{len(measures)} of at most {MEASURES}"), [file]
