"""C3: the data of a thousand customers in one place, and how much falls with a few keys."""

import hashlib
import pathlib
import random
import shutil

import yaml

from demo_canary import Search
from interface import interface
from provider_account import administer
from registry import assertion, expect
from stranger import NOT_FOUND, Stranger, subscription

PROFILE = pathlib.Path(__file__).resolve().parents[1] / "product-profile.yaml"
HOMES = 1000
STOLEN = (0, 1, 10)
EXPIRES = 3  # seconds
AT_ONCE = 250  # of one owner: each brings two commits, and a backend takes 500 of one peer before its rate holds


def found(run):
    """The synthetic instantiations, founded once: tenant → the folder of their keys."""
    folders = {}
    for tenant in run.wired.tenants.values():
        folder = pathlib.Path(run.stack.path(f"keys-{tenant}"))
        folders[tenant] = folder
        if folder.exists():
            continue
        folder.mkdir(mode=0o700)
        backend, pki = run.wired.hops["backend"], run.wired.pki_at("backend")
        for part in range(HOMES // len(run.wired.tenants) // AT_ONCE):
            name, words = f"synthetic-{part}", []
            for role in ("app", "device"):
                leaf = pki.leaf(tenant, role, f"{role}-{name}")
                words += [f"--{role}-chain", leaf.chain, f"--{role}-key", leaf.key]
            run.stack.run("keystead-stolen-keys", "--quiet", "found", "--backend", backend.address, "--backend-id", backend.spiffe, "--roots",
                          backend.roots, "--tenant", tenant, "--name", name, "--count", AT_ONCE, "--keys", folder, *words, patience=90)
    return folders


def open_with(run, host, rings, name):
    folder = pathlib.Path(run.stack.path(name))
    folder.mkdir(mode=0o700)
    for ring in rings:
        shutil.copy(ring, folder)
    return host.opened_with(folder)


@assertion("C3.1")
def as_many_fall_as_were_stolen(run):
    host = run.adversary("adv-database").machine("backend")
    rings = sorted(path for folder in found(run).values() for path in folder.iterdir())
    drawn = random.Random(run.seed)
    curve, stolen = [], {}
    for count in STOLEN:
        taken = drawn.sample(rings, count)
        stolen[count] = {path.stem for path in taken}
        curve.append({"k": count, **open_with(run, host, taken, f"stolen-{count}")})
    file = run.keep("C3.1.json", curve)
    expect(len(rings) == HOMES, f"{len(rings)} instantiations were founded", [file])
    for one in curve:
        expect(one["instantiations"] > HOMES and not one["closed_groups"], f"the adversary sees {one['instantiations']} instantiations", [file])
        expect(set(one["opened"]) == stolen[one["k"]] and one["readable_whole"] == one["k"],
               f"with {one['k']} stolen of {one['instantiations']}, {one['readable']} can be read", [file])
    return "; ".join(f"k = {one['k']}: {one['readable']} of {one['instantiations']} readable, {one['tries']} tries on {one['records']} records"
                     for one in curve), [file]


def undeclared(profile, seen):
    """What of the database is not in the profile, and the other way round, as texts."""
    wrong = []
    for kind in ("tables", "fields"):
        declared = {str(name): entry for name, entry in profile[kind].items()}
        wrong += [f"{kind[:-1]} {name} is stored and not declared" for name in seen[kind] if name not in declared]
        wrong += [f"{kind[:-1]} {name} is declared and not stored" for name, entry in declared.items()
                  if name not in seen[kind] and "when" not in entry]
        wrong += [f"{kind[:-1]} {name} has no purpose" for name, entry in declared.items() if not entry.get("purpose")]
    return wrong


@assertion("C3.2")
def what_is_stored_is_declared(run):
    host = run.adversary("adv-database").machine("backend")
    seen = host.fields()
    profile = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
    file = run.keep("C3.2.json", seen)
    wrong = undeclared(profile, seen)
    expect(not wrong and not seen["closed"], f"{'; '.join(wrong)}; {seen['closed']} groups could not be looked into", [file])
    for kind in ("tables", "fields"):
        for name in seen[kind]:
            less = {**profile, kind: {key: entry for key, entry in profile[kind].items() if str(key) != name}}
            expect(undeclared(less, seen), f"without {name} in the profile nothing is found undeclared", [file])
    return f"{len(seen['tables'])} tables and {len(seen['fields'])} fields are stored, all declared with a purpose; each is missed when it is not", [file]


def telemetry(host, instantiation):
    return {line["offset"]: line for line in host.records()
            if line.get("instantiation") == instantiation and line["topic"].startswith("telemetry/")}


@assertion("C3.3a")
def what_is_too_old_is_served_no_longer(run):
    host = run.adversary("adv-database").machine("backend")
    owner = run.wired.products["acme"]
    before = telemetry(host, owner.instantiation)
    expect(before and not any(line["trimmed"] for line in before.values()), f"{len(before)} groups, some gone already")
    administer(run.wired, "limits", owner.tenant, "--set", f"retention_seconds={EXPIRES}")

    def gone():
        now = telemetry(host, owner.instantiation)
        return min(before) not in now or now[min(before)]["trimmed"]
    run.within(gone, 60, f"the first record is served although records count for {EXPIRES} s")
    administer(run.wired, "limits", owner.tenant, "--set", "retention_seconds=none")
    run.new_readings()
    after = telemetry(host, owner.instantiation)
    served = [offset for offset, line in after.items() if not line["trimmed"]]
    file = run.keep("C3.3a.json", {"before": sorted(before), "after": sorted(after), "served": sorted(served)})
    expect(served and min(served) > min(before), f"served are {sorted(served)[:3]} and on", [file])
    return f"before, {len(before)} groups from {min(before)} on; after, those before {min(served)} are served no longer, and {len(served)} are", [file]


@assertion("C3.3b")
def an_erased_instantiations_keys_go(run):
    host = run.adversary("adv-database").machine("backend")
    tenant = run.wired.tenants["globex"]
    chosen = sorted(path.stem for path in found(run)[tenant].iterdir())[0]

    def opens(**where):
        lines = [line for line in host.records(**where) if line["opens_at_rest"]]
        return [sum(line["instantiation"] == chosen for line in lines), sum(line["instantiation"] != chosen and "globex" in line["tenant_name"] for line in lines)]
    old = host.copy("before-erasure")
    before = opens(store=old, keystore=f"{old}.keys")
    administer(run.wired, "erase", tenant, "--instantiation", chosen, "--confirm", tenant, "--out", run.stack.path("receipt"), "--provider-ca",
               run.wired.pki_at("backend").provider_roots)
    new = host.copy("after-erasure")
    after = opens(store=new, keystore=f"{new}.keys")
    again = opens(store=old, keystore=f"{new}.keys")
    file = run.keep("C3.3b.json", {"instantiation": chosen, "before": before, "after": after, "the dump before with the keys after": again})
    expect(before[0] > 0 and before[1] > 0, f"before, {before[0]} records of it and {before[1]} others open at rest", [file])
    expect(after[0] == 0 and again[0] == 0, f"after, {after[0]} of its records open, and {again[0]} in the dump made before", [file])
    expect(after[1] == before[1] == again[1], f"others: {before[1]} before, {after[1]} after", [file])
    return f"before, {before[0]} of its records open at rest; after, none, in the dump made before neither; {after[1]} of others stay", [file]


# Answers that are of one tenant, although the request does not name it, and why.
OF_ONE = {"FetchRevocationsRequest": "the caller's own tenant, by its certificate", "AwaitRequest": "one mailbox, by a name that is random"}


def spans_tenants():
    """Calls that a backend or gateway serves, whose answer can hold bytes of somebody and whose request does not say of which
    tenant; how many there are of all, and with bytes in the answer."""
    of = interface()
    calls = of.of_hops()
    carrying = [call for call in calls if of.holds_bytes(call.answer)]
    wide = [call.name for call in carrying if not of.names_tenant(call.request) and call.request.rsplit(".", 1)[-1] not in OF_ONE]
    return wide, len(calls), len(carrying)


def export_of_ones_own(run):
    """What the owner's app takes out of the backend with its own certificate, held against what is stored of its instantiation, and what others are
    given who ask for the same."""
    host, owner, backend = run.adversary("adv-database").machine("backend"), run.wired.products["acme"], run.wired.hops["backend"]
    stored = {(line["stream"], line["sequence"], line["sha256"]) for line in host.records() if line.get("instantiation") == owner.instantiation and line.get("stream") and not line["trimmed"]}
    taken = [line for line in owner.app.call("raw", "--last", "100000", "--wait", "10", hop=backend) if line["event"] == "held"]
    topics = sorted({line["topic"] for line in taken})
    others = {"another customer of the same tenant": run.wired.pki_at("backend").leaf(owner.tenant, "app", "another"), "a customer of another tenant": run.wired.pki_at("backend").leaf(run.wired.tenants["globex"], "app", "another")}
    got = {}
    for who, leaf in others.items():
        answer = Stranger(run.stack, leaf, f"export-{len(got)}").call(backend, "Transport/Subscribe", subscription(owner.tenant, bytes.fromhex(owner.instantiation), topics))
        got[who] = (answer.code, len(answer.messages))
    return {"stored": len(stored), "missing": len(stored - {(line["stream"], line["sequence"], hashlib.sha256(bytes.fromhex(line["cose"])).hexdigest()) for line in taken}),
            "of others": sum(line["instantiation"] != owner.instantiation for line in taken), "others got": got}


@assertion("C3.5")
def nobody_takes_all(run):
    wide, rpcs, carrying = spans_tenants()
    expect(rpcs > 10 and carrying >= 3, f"of {rpcs} RPCs {carrying} seem to answer with records: the interface was not read")
    acme, globex = (run.wired.tenants[name] for name in ("acme", "globex"))
    out = run.stack.path("acme.export")
    administer(run.wired, "export", acme, "--out", out)
    folders = found(run)
    ids = {tenant: [path.stem for path in folder.iterdir()] for tenant, folder in folders.items()}
    data = pathlib.Path(out).read_bytes()
    there = {tenant: sum(bytes.fromhex(one) in data for one in names) for tenant, names in ids.items()}
    expect(there[acme] == len(ids[acme]) and not there[globex] and globex.encode() not in data, f"the export of {acme} holds {there}")
    refused = {}
    leaves = {"an app": run.wired.apps["acme-phone"].leaf, "a device": run.wired.devices["planted"].leaf,
              "a tenant's administrator": run.wired.pki_at("backend").leaf(acme, "admin", "curious")}
    for who, leaf in leaves.items():
        for tenant in (acme, globex):
            path = run.stack.path(f"export-{len(refused)}")
            answer = administer(run.wired, "export", tenant, "--out", path, leaf=leaf, check=False)
            refused[f"{who}: {tenant}"] = answer.returncode != 0 and not pathlib.Path(path).exists()
    own = export_of_ones_own(run)
    file = run.keep("C3.5.json", {"without a tenant": wide, "instantiations in the export": there, "refused": refused, "a customer's own": own})
    expect(not wide, f"these answer with records and name no tenant: {wide}", [file])
    expect(all(refused.values()), f"given out: {[who for who, no in refused.items() if not no]}", [file])
    search = Search({"planted text": run.wired.canary.untold})
    expect(not search.in_files(out), "the export shows the planted text", [file])
    expect(own["stored"] and not own["missing"] and not own["of others"], f"what a customer takes out of its own: {own}", [file])
    expect(all(code == NOT_FOUND and not got for code, got in own["others got"].values()), f"others are given it: {own['others got']}", [file])
    return (f"{carrying} of {rpcs} RPCs answer with records, each of a named tenant; the export of {acme} holds its {there[acme]} instantiations and "
            f"none of {globex}'s; {len(refused)} tries with customers' certificates got nothing; a customer takes out all {own['stored']} records that are stored of "
            f"its own, sealed as they are, and {len(own['others got'])} others, who ask the same, none"), [file]
