"""C2: the platform misbehaves in every way that is its to choose: who made the product controls what is left to control."""

import collections
import functools
import pathlib
import shutil

import demo_battle
from demo_canary import Search
from battle import SPOILT, Battle
from harness import Failure, wait_until
from product_keys import keys_of, ring_of
from provider_account import administer
from registry import assertion, expect

REGIONS = ("cose_ciphertext", "cose_tag", "cose_partial_iv", "cose_protected")
KINDS = ("edit", "swap", "delete", "rollback")  # of what the host does
WANTED = 12    # records of each device that wait at the backend before the host begins
AFTERWARDS = 4  # records of each device that a rollback undoes, at least
PATIENCE = 40


# What falls into the platform's hands by each misconfiguration, as folders or files to search. Each is taken on the build under
# test and, in the control, where nothing is sealed.
def disk(wired, host):
    folder = pathlib.Path(host.copy("disk"))
    for path in (folder, pathlib.Path(f"{folder}.keys")):
        wired.stack.run("/bin/chmod", "-R", "a+rX", path)
    content = host.content("disk", store=str(folder))  # with the keys that were read from the same disk
    return [folder, pathlib.Path(f"{folder}.keys"), content], f"{folder}"


def backup(wired, host):
    found = []
    for tenant in wired.tenants.values():
        path = wired.stack.path(f"{tenant}.backup")
        administer(wired, "backup", tenant, "--out", path)
        found += [path, host.content(f"backup-{tenant}", "--backup", path)]
    return found, "backup"


def over_broad(wired, host):  # pylint: disable=unused-argument
    """Every verb that looks, with the certificate of an operator."""
    found = []
    for tenant in wired.tenants.values():
        for words in (["usage", tenant], ["limits", tenant], ["list"], ["audit", "export", tenant], ["receipt", tenant]):
            path = pathlib.Path(wired.stack.path(f"operator-{tenant}-{words[0]}"))
            answer = administer(wired, *words, check=False)
            path.write_text(answer.stdout + answer.stderr, encoding="utf-8")
            found.append(path)
        path = wired.stack.path(f"{tenant}.export")
        administer(wired, "export", tenant, "--out", path)
        found.append(path)
    return found, "operator"


def older(wired, host):  # pylint: disable=unused-argument
    folder = host.copy("older")
    return [folder, host.content("older", store=folder)], folder


WAYS = {"C2.1a": disk, "C2.1b": backup, "C2.1c": over_broad, "C2.1e": older}


def host_of(wired):
    return wired.paths("backend", "machine")


def control(wired):
    """With sealing off: where each misconfiguration shows the planted text, and how many records it lies in."""
    search = Search({"planted text": wired.canary.untold})
    host, found = host_of(wired), {}
    for name, way in WAYS.items():
        paths, _ = way(wired, host)
        found[name] = sorted({form for path in paths for _, _, form in search.in_files(path, "there")})
    found["C2.1d"] = sorted({form for _, _, form in search.in_files(host.content("wrong-file"), "there")})
    return found


def try_rings(wired, host, products, name):
    """Every record of the whole store with every key of these products; what opens, by instantiation."""
    folder = pathlib.Path(wired.stack.path(name))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for product in products:
        ring_of(wired.products[product], folder)
    return host.opened_with(folder)


def the_platform_reads_nothing(name, run):
    host = run.adversary("adv-host").machine("backend")
    keys = keys_of(run)
    search = Search({"planted text": run.wired.canary.untold, **keys})
    paths, _ = WAYS[name](run.wired, host)
    hits = {(pathlib.Path(path).name, what, form) for path in paths for _, what, form in search.in_files(path)}
    seen = run.control.found[name]
    file = run.keep(f"{name}.json", {"searched": [str(path) for path in paths], "bytes": search.bytes, "keys": len(keys),
                                     "hits": sorted(map(list, hits)), "with_sealing_off": seen})
    own = search.in_files(run.wired.apps["acme-phone"].state, "phone")
    expect(any(what.startswith("signing key") for _, what, _ in own), "the search does not find a phone's keys in the phone itself", [file])
    expect(seen, "with sealing off the search finds nothing there either", [file])
    records = len({(line["stream"], line["sequence"]) for line in host.records() if line.get("stream")})
    expect(records > 0, "the host sees no record at all", [file])
    expect(not hits, f"the platform has {', '.join(sorted(f'{what} ({form}) in {path}' for path, what, form in hits)[:4])}", [file])
    return (f"0 of {records} records can be read: neither the text nor one of {len(keys)} keys in {search.bytes / 1e6:.1f} MB; with sealing off "
            f"the same search finds the text ({', '.join(seen)})"), [file]


for misconfiguration in WAYS:
    assertion(misconfiguration)(functools.partial(the_platform_reads_nothing, misconfiguration))


@assertion("C2.1d")
def another_tenants_file_opens_nothing(run):
    host = run.adversary("adv-host").machine("backend")
    theirs = try_rings(run.wired, host, ["globex"], "globex-rings")
    ours = try_rings(run.wired, host, ["acme"], "acme-rings")
    search, seen = Search({"planted text": run.wired.canary.untold}), run.control.found["C2.1d"]
    hits = search.in_files(host.content("wrong-file"))
    file = run.keep("C2.1d.json", {"globex": theirs, "acme": ours, "hits": sorted(map(list, hits)), "with_sealing_off": seen})
    ids = {name: product.instantiation for name, product in run.wired.products.items()}
    expect(seen, "with sealing off the search finds nothing there either", [file])
    expect(not hits, "whoever is given the files of all reads the planted text in them", [file])
    expect(set(ours["opened"]) == {ids["acme"]}, f"acme's own keys open {sorted(ours['opened'])}: the opener does not see", [file])
    expect(set(theirs["opened"]) <= {ids["globex"]}, f"with globex's keys open {sorted(theirs['opened'])}", [file])
    return (f"{theirs['tries']} tries of globex's keys on the files of everybody: 0 of acme's and cabin's records; acme's own open "
            f"{ours['opened'][ids['acme']]}"), [file]


def waiting(host, known):
    """Records of telemetry that no phone has had, by stream, in order: (stream, [line …])."""
    streams = {}
    for line in host.records():
        if line.get("topic", "").startswith("telemetry/") and line["sequence"] > 0 and (line["stream"], line["sequence"]) not in known:
            streams.setdefault(line["stream"], {})[line["sequence"]] = line
    return {stream: [lines[sequence] for sequence in sorted(lines)] for stream, lines in streams.items()}


def at(line):
    return {key: line[key] for key in ("tenant", "log", "offset", "sequence")}


def plan(streams):
    """Of the waiting records of each stream: a third edited, a third exchanged with another stream's, a sixth deleted. Only
    groups of one record are deleted or copied, so that each is counted once."""
    lines = {name: list(found) for name, found in streams.items()}
    orders = []
    sizes = {}
    for found in lines.values():
        for line in found:
            sizes[(line["tenant"], line["log"], line["offset"])] = sizes.get((line["tenant"], line["log"], line["offset"]), 0) + 1
    names = sorted(lines)
    for number, name in enumerate(names):
        found, other = lines[name], lines[names[(number + 1) % len(names)]]
        for n, line in enumerate(found):
            if n % 6 in (0, 3):
                orders.append({"do": "edit", "region": REGIONS[(n // 3) % len(REGIONS)], "at": at(line)})
            elif n % 6 == 1 and n + 1 < len(other) and other[n + 1]["sequence"]:  # 1 of this stream with 2 of the next
                orders.append({"do": "swap", "at": at(line), "with": at(other[n + 1])})
            elif n % 6 == 5 and all(sizes[(one["tenant"], one["log"], one["offset"])] == 1 for one in (line, found[n - 1])):
                orders.append({"do": "delete", "at": at(line), "with": at(found[n - 1])})
    return orders


def noticed(evidence, line):
    """How exactly this record's damage was noticed by a reader; None when it was not."""
    place = (line["stream"], line["sequence"])
    kinds = [kind for _, kind in evidence.alarms.get(place, ()) if kind in SPOILT]
    if kinds:
        return f"alarm {kinds[0]}"
    return "missing" if evidence.gap_at(place) else None


def brought_again(rows, stored):
    """Places of changed records that lie there again byte for byte as their sender made them (`stored`: digests by place). Whoever had
    not been told yet that a record is stored when the host stopped its backend sends it once more, and nothing is lost."""
    return {(row["stream"], row["sequence"]) for row in rows if row["sha256_before"] in stored.get((row["stream"], row["sequence"]), ())}


def check_manipulations(rows, again):
    """What is not as it should be with the records that the host changed, each with how a phone noticed and how often it was
    delivered; `again`: places of those that their sender brought once more."""
    healed = [row for row in rows if (row["stream"], row["sequence"]) in again]
    others = [row for row in rows if (row["stream"], row["sequence"]) not in again]
    made = collections.Counter(row["do"] for row in rows)
    wrong = []
    if len(rows) < 100 or not all(made[kind] for kind in KINDS):
        wrong.append(f"only {dict(made)} were made")
    silent = [row for row in others if not row["noticed"]]
    if silent:
        wrong.append(f"{len(silent)} of {len(rows)} were not noticed, such as {silent[0]}")
    taken = [row for row in others if row["delivered"]]
    if taken:
        wrong.append(f"{len(taken)} manipulated records were delivered, such as {taken[0]}")
    lost = [row for row in healed if not row["noticed"] and not row["delivered"]]
    if lost:
        wrong.append(f"brought again by its sender, neither delivered nor named: {lost[0]}")
    undone = collections.Counter(row["do"] for row in healed)
    wrong += [f"more than half of all {kind} were undone by the senders themselves: it shows nothing" for kind in KINDS if 2 * undone[kind] > made[kind]]
    return wrong


@assertion("C2.2")
def every_manipulation_is_noticed(run):
    host, battle = run.adversary("adv-host").machine("backend"), Battle(run)
    run.new_readings()
    for watch in run.wired.watches.values():
        watch.process.terminate(20)
    known = {place for watch in run.wired.watches.values() for place in watch.delivered()}
    devices = len(run.wired.devices)

    def enough(count, known=known):
        found = waiting(host, known)
        return len([lines for lines in found.values() if len(lines) >= count]) >= devices and found
    run.within(lambda: enough(WANTED * 3), PATIENCE, "not enough records come to the backend while nobody reads")
    host.stop()
    streams = waiting(host, known)
    done = host.manipulate(plan(streams), run.seed)
    before = host.copy("rolled-back")
    host.start()
    first = {(line["stream"], line["sequence"]) for lines in streams.values() for line in lines}
    run.within(lambda: enough(AFTERWARDS, known | first), PATIENCE, "not enough records come after the manipulation")
    host.stop()
    done += [line for line in host.restore(before) if line.get("topic", "").startswith("telemetry/")]
    host.start()
    for watch in run.wired.watches.values():
        watch.process.relaunch()
    injected = {(line["stream"], line["sequence"]): line for line in done}

    def open_places():
        evidence = demo_battle.gather(battle)
        return [place for place, line in injected.items() if not noticed(evidence, line) and not evidence.delivered[place]]
    try:
        wait_until(lambda: not open_places(), "all to be noticed", PATIENCE)
    except Failure:
        pass  # judged below, with all that is known
    run.new_readings()
    evidence = demo_battle.gather(battle)
    made, stored = collections.defaultdict(set), collections.defaultdict(set)
    for line in done:
        made[line["stream"], line["sequence"]].add(line["sha256_after"])
    for line in host.records():
        stored[line.get("stream"), line.get("sequence")].add(line.get("sha256"))
    others = [place for place, line in injected.items() if stored[place] - made[place] - {line["sha256_before"]}]
    rows = [{**line, "noticed": noticed(evidence, line) or "", "delivered": evidence.delivered[place]} for place, line in sorted(injected.items())]
    again = brought_again(rows, stored)
    file = run.keep("C2.2.json", {"manipulated": rows, "brought again by their senders": sorted(map(list, again))})
    wrong = check_manipulations(rows, again)
    expect(not wrong, "; ".join(wrong), [file])
    twice = [place for place, count in evidence.delivered.items() if count > 1]
    expect(not others, f"other records were sealed in places that were used before: {others[:2]}", [file])
    expect(not twice, f"delivered twice: {twice[:3]}", [file])
    kinds = collections.Counter(row["do"] for row in rows)
    seen = [row for row in rows if row["noticed"]]
    healed = f" + {len(rows) - len(seen)} that their sender, who had not been told that they are stored, brought again byte for byte" if len(seen) < len(rows) else ""
    return f"{len(rows)} injected = {len(seen)} noticed by a phone at exactly that record, none of them delivered{healed}: {dict(kinds)}", [file]


def check_unsolved(table):
    """The table of what stays unsolved must be there and complete; texts of what is wrong."""
    wanted = ("availability", "deletion", "traffic", "memory", "operating system")
    if not table:
        return ["the table of what stays unsolved is empty: nobody solves everything"]
    wrong = [f"nothing is said of {word}" for word in wanted if not any(word in entry["is"].lower() for entry in table)]
    return wrong + [f"{entry['is']}: a reason is missing" for entry in table if not entry["because"].strip() or not entry["measured"].strip()]


@assertion("C2.3")
def what_stays_unsolved(run):
    table = run.scenario.value.get("unsolved", [])
    wrong = check_unsolved(table)
    file = run.keep("C2.3.json", table)
    expect(not wrong, "; ".join(wrong), [file])
    return f"{len(table)} things stay unsolved, each with its reason: {', '.join(entry['is'] for entry in table)}", [file]
