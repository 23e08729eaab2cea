"""A scenario's file: its shape, what must agree within it, and with the reference that stands beside it."""

import pathlib
import re

import yaml

import boundary
import shapes
from shapes import Flag, ListOf, MapOf, Number, Record, Text

HERE = pathlib.Path(__file__).resolve().parent
FILES = HERE / "files"
REFERENCE = HERE / "reference"
MUTANTS = HERE.parents[1] / "core/base/mutants.cc"

PROGRAMS = {"keystead-backend": "BE", "keystead-gateway": "GW", "keystead-device-sim": "DEV", "keystead-mobile-stub": "APP",
            "keystead-infra-sim": None}
# What an adversary may be given of a process; wiring.py knows where each lies.
# "machine": it is theirs, so they may stop the process, change its store and start it again.
GRANTS = ("store", "certificate", "key", "log", "memory", "keystore", "machine")
PROVIDER = "provider-one.example"  # who runs a backend that says nothing of it
# Without being given anything: what a built-in assertion of every scenario is called behind the scenario's id.
BUILT_IN = ("B6", "end")
SETTLED = ("members", "tenants", "records", "processes")  # see aftermath.py
LAYERS = ("hardware", "platform", "software")

ID = r"(S[1-7]b?|C[1-3])"
PROCESS = Record(
    {"program": Text(*PROGRAMS), "managed": Text("local", "remote"), "needed_beyond_basic": Flag(), "manufacturer_component": Flag(),
     "application_layer_access": Flag(), "in_product": Flag(), "responsible": Record({layer: Text() for layer in LAYERS})},
    {"component": Text("DEV", "GW", "BE", "APP", "APP3"), "product": Text(), "form": Text("relay", "balancer"), "spare": Flag(),
     "stranger": Flag(), "granted": ListOf(Text(), 1), "averages": ListOf(Text()), "live_within": Number(3, 30), "alike": Text(), "metrics": Flag(),
     "kind": Text("lightbulb", "temperature", "blood-pressure", "soil-moisture", "host", "planted", "impossible", "other unit"), "interval": Number(0.01, 60),
     "safe": Record({"output": Text(), "after": Number(1, 3600)}), "journal_bytes": Number(1024, 2**34), "provider": Text(pattern=r"[a-z0-9-]+(\.[a-z0-9-]+)+"), "is": Text()})
ASSERTION = Record(
    {"id": Text(pattern=ID + r"\.([0-9]+[a-z]?|B6|end)"), "says": Text(), "polarity": Text("positive", "negative"),
     "outcomes": MapOf(ListOf(Text("DEV", "GW", "BE", "APP", "APP3"), 1), at_least=1)},
    {"expected": Text(), "mend": Text(),
     # What a negative one changes of what aftermath.py holds to be settled, and why it may.
     "changes": MapOf(Record({"of": ListOf(Text(), 1), "because": Text()}), key="|".join(SETTLED)),
     "not_run": Text(), "not_testable_here": Record({"reason": Text(), "needs": Text()}),
     "not_applicable": Record({"rule": Text(), "inputs": Text(), "reason": Text()})})
SHAPE = Record({
    "scenario": Text(pattern=ID), "family": Text("local", "remote", "call-out"), "title": Text(), "about": Text(), "seed": Number(0, 2**31),
    "roles": MapOf(Record({"plays": Text("manufacturer", "customer", "cloud provider", "network provider", "third party",
                                         "operating system developer"), "is": Text()}), at_least=1),
    "tenants": MapOf(Text(), key=r"[a-z0-9.-]+", at_least=1),
    # Either one that its owner's app founds at a provider, or `alone`: one device and nothing else.
    "products": MapOf(Record({"tenant": Text()}, {"owner": Text(), "provider": Text(), "carriers": ListOf(Text()), "alone": Flag()}), at_least=1),
    "processes": MapOf(PROCESS, at_least=1),
    "links": MapOf(Record({"from": ListOf(Text(), 1), "to": Text()}, {"through": ListOf(Text()), "meets": Text("this", "any carrier")})),
    "adversaries": MapOf(Record({"is": Text(), "stands": Text("local", "remote", "network")},
                                {"positions": ListOf(Text()), "files": MapOf(ListOf(Text(*GRANTS), 1))}), at_least=1),
    "assertions": ListOf(ASSERTION, 1),
    "mutants": MapOf(Record({"fails": ListOf(Text(), 1), "because": Text()}), at_least=1),
    "not_shown": ListOf(Text(), 1),
}, {
    # What no product can do against who holds the machines, each with why, and what of it was measured (see checks/c2.py).
    "unsolved": ListOf(Record({"is": Text(), "because": Text(), "measured": Text()}), 1),
})
FOUNDED = ("owner", "provider", "carriers")  # what a product has that is not alone
GUEST = "guest"  # a position of nobody: what a check brings along is there
ENDS = ("not_run", "not_testable_here", "not_applicable")  # an assertion that does not run says why, in one of these


def known_mutants():
    return set(re.findall(r'\{"([a-z_]+)", Mutant::', MUTANTS.read_text(encoding="utf-8")))


def reference_assertions(scenario):
    """The numbered assertions that the reference has for a scenario, by id."""
    text = (REFERENCE / "scenarios.md").read_text(encoding="utf-8")
    return list(dict.fromkeys(re.findall(rf"^\s*\* ({scenario}\.[0-9]+) ", text, re.MULTILINE)))


def outcomes():
    """Outcome id → its entry in the reference."""
    with open(REFERENCE / "outcomes.yaml", encoding="utf-8") as file:
        return {entry["id"]: entry for entry in yaml.safe_load(file)["outcomes"]}


class Scenario:
    """A file that was read and found good. All fields are as in the file; see SHAPE."""

    def __init__(self, path, value):
        self.path = path
        self.id = value["scenario"]
        self.value = value
        self.processes = value["processes"]
        self.products = founded(value)
        self.alone = {name: device_of(value, name) for name in value["products"] if name not in self.products}  # product → its device
        self.links = value["links"]
        self.assertions = value["assertions"]
        self.mutants = value["mutants"]
        self.columns = boundary.columns(self.processes)

    def assertion(self, name):
        return next(one for one in self.assertions if one["id"] == name)

    def runnable(self):
        return [one for one in self.assertions if not any(end in one for end in ENDS)]

    def cells(self, assertion):
        return [(outcome, component) for outcome, components in assertion["outcomes"].items() for component in components]

    def positions(self):
        """Who has a place in the network: processes, adversaries that stand there by themselves, and the guest."""
        return [*self.processes, *(name for name, one in self.value["adversaries"].items() if one["stands"] == "network" and not one.get("positions")), GUEST]

    def link_of(self, caller):
        return next((name for name, link in self.links.items() if caller in link["from"]), None)

    def order(self):
        """Processes so that each comes after all it calls."""
        done, order = set(), []

        def add(name):
            if name not in done:
                done.add(name)
                for called in sorted(calls(self.value, name)):
                    add(called)
                order.append(name)
        for name in self.processes:
            add(name)
        return order


def founded(value):
    """The products that somebody founds at a provider."""
    return {name: product for name, product in value["products"].items() if not product.get("alone")}


def device_of(value, alone):
    return next((name for name, process in value["processes"].items() if process.get("product") == alone), None)


def is_alone(value, process):
    return value["products"].get(process.get("product"), {}).get("alone", False)


def calls(value, name):
    """Whom a process connects to, over all links."""
    found = set()
    for link in value["links"].values():
        way = [*link.get("through", []), link["to"]]
        if name in link["from"]:
            found.add(way[0])
        for here, there in zip(way, way[1:]):
            if here == name:
                found.add(there)
    return found


def load(path):
    """A Scenario; SchemaError with everything that is wrong."""
    value, reading = shapes.load(path, SHAPE)
    shapes.done(reading)
    for check in (check_roles, check_processes, check_products, check_links, check_adversaries, check_assertions, check_reference, check_mutants):
        check(value, reading)
    shapes.done(reading)
    return Scenario(path, value)


def all_files():
    return sorted(FILES.glob("*.yaml"))


def find(scenario):
    return FILES / f"{scenario}.yaml"


def check_roles(value, reading):
    for name, role in value["tenants"].items():
        if role not in value["roles"]:
            reading.wrong_at(("tenants", name), f"tenants.{name}: {role} is none of the roles")
    for name, process in value["processes"].items():
        for layer, role in process["responsible"].items():
            if role not in value["roles"]:
                reading.wrong_at(("processes", name, "responsible", layer), f"{name}: {role}, responsible for its {layer}, is none of the roles")


def check_processes(value, reading):
    for name, process in value["processes"].items():
        def wrong(text, *where, name=name):
            reading.wrong_at(("processes", name, *where), f"{name} {text}")
        is_equipment = process["program"] == "keystead-infra-sim"
        if is_equipment != ("form" in process):
            wrong("needs a form (relay or balancer)" if is_equipment else "has a form, which only keystead-infra-sim has")
        if process["in_product"] != ("component" in process):
            wrong("needs a component: the report has a column for what is in the product" if process["in_product"] else
                  "has a component, but the report has no column for what is out of the product")
        if (process["program"] == "keystead-device-sim") != ("kind" in process):
            wrong("needs a kind" if "kind" not in process else "has a kind, which only devices have")
        check_granted(value, name, wrong)
        if process.get("stranger") and process["program"] != "keystead-mobile-stub":
            wrong("is a stranger, which only an app can be", "stranger")
        if "safe" in process and process.get("kind") != "lightbulb":
            wrong("has a safe output, and only a lightbulb has one", "safe")
        if "journal_bytes" in process and process["program"] != "keystead-device-sim":
            wrong("has journal_bytes, which only devices have", "journal_bytes")
        if "alike" in process and not stands_for(value, process["alike"], process):
            wrong(f"is said to be like {process['alike']}, which is no device of the same kind and product that the control starts", "alike")
        if "provider" in process and process["program"] != "keystead-backend":
            wrong("has a provider, which only backends have", "provider")
        if "metrics" in process and process["program"] != "keystead-backend":
            wrong("has metrics, which only of backends are looked at", "metrics")
        if process["program"] in ("keystead-device-sim", "keystead-mobile-stub", "keystead-gateway"):
            if process.get("product") not in value["products"]:
                wrong(f"belongs to product {process.get('product')!r}; known are {', '.join(value['products'])}", "product")
    for name, why in boundary.contradictions(value["processes"]).items():
        says = "in" if value["processes"][name]["in_product"] else "out of"
        reading.wrong_at(("processes", name, "in_product"), f"{name} is said to be {says} the product, but the boundary rule says {why}")


def check_granted(value, name, wrong):
    """A guest (mobile-stub/README.md) is an app of the product beside its owner's, and reads devices of it."""
    process = value["processes"][name]
    if "granted" not in process:
        return
    if process["program"] != "keystead-mobile-stub" or process.get("stranger"):
        wrong("is granted something, which only an app is that is no stranger", "granted")
    if value["products"].get(process.get("product"), {}).get("owner") == name:
        wrong("is granted something, and is the owner", "granted")
    for device in process["granted"]:
        other = value["processes"].get(device, {})
        if other.get("program") != "keystead-device-sim" or other.get("product") != process.get("product"):
            wrong(f"is granted what {device} measures, which is no device of its product", "granted")


def stands_for(value, name, process):
    """Whether the device `name` stands in the control for this process, which the control leaves out."""
    other = value["processes"].get(name, {})
    return (process["program"] == "keystead-device-sim" and "alike" not in other and
            all(other.get(key) == process.get(key) for key in ("program", "kind", "product")))


def provider_domain(backend):
    """The trust domain of whoever runs this backend."""
    return backend.get("provider", PROVIDER)


def check_products(value, reading):
    processes = value["processes"]
    for name, product in value["products"].items():
        if product["tenant"] not in value["tenants"]:
            reading.wrong_at(("products", name, "tenant"), f"product {name}: {product['tenant']} is none of the tenants")
        check_alone(value, reading, name, product)
    domains = {}  # tenant → the provider's domain
    for name, product in founded(value).items():
        if any(key not in product for key in FOUNDED):
            continue  # said above
        backend = processes.get(product["provider"], {})
        if domains.setdefault(product["tenant"], provider_domain(backend)) != provider_domain(backend):
            reading.wrong_at(("products", name, "provider"), f"product {name}: {product['tenant']} is a tenant of {domains[product['tenant']]} already")
        def wrong(key, text, name=name):
            reading.wrong_at(("products", name, key), f"product {name}: {text}")
        owner = processes.get(product["owner"])
        if owner is None or owner["program"] != "keystead-mobile-stub" or owner["product"] != name:
            wrong("owner", f"its owner {product['owner']} is no app of this product")
        if processes.get(product["provider"], {}).get("program") != "keystead-backend":
            wrong("provider", f"its provider {product['provider']} is no backend")
        for carrier in product["carriers"]:
            if processes.get(carrier, {}).get("program") not in ("keystead-gateway", "keystead-infra-sim"):
                wrong("carriers", f"its carrier {carrier} is no gateway and no equipment")


def check_alone(value, reading, name, product):
    """A product has all of what founding needs, or is alone and has one device that calls nobody."""
    def wrong(text, *where):
        reading.wrong_at(where or ("products", name), f"product {name} {text}")
    for key in FOUNDED:
        if product.get("alone") and key in product:
            wrong(f"is alone and has {key}", "products", name, key)
        elif not product.get("alone") and key not in product:
            wrong(f"says nothing of {key}, and not that it is alone")
    if product.get("alone"):
        parts = [process for process, entry in value["processes"].items() if entry.get("product") == name]
        if [value["processes"][part]["program"] for part in parts] != ["keystead-device-sim"]:
            wrong(f"is alone and consists of {', '.join(parts) or 'nothing'}: wanted one device")
        for link, entry in value["links"].items():
            for part in set(parts) & {*entry["from"], entry["to"], *entry.get("through", [])}:
                wrong(f"is alone, and link {link} leads to or from {part}", "links", link)


def check_links(value, reading):
    processes = value["processes"]
    callers = {}
    for name, link in value["links"].items():
        for other in [*link["from"], link["to"], *link.get("through", [])]:
            if other not in processes:
                reading.wrong_at(("links", name), f"link {name}: {other} is none of the processes")
        for equipment in link.get("through", []):
            if "form" not in processes.get(equipment, {}):
                reading.wrong_at(("links", name, "through"), f"link {name} goes through {equipment}, which is no equipment")
        for caller in link["from"]:
            if caller in callers:
                reading.wrong_at(("links", name, "from"), f"link {name}: {caller} already calls over {callers[caller]}; each has one next hop")
            callers[caller] = name
    for name, process in processes.items():
        needs_hop = process["program"] not in ("keystead-backend", "keystead-infra-sim") and not is_alone(value, process)
        if needs_hop and name not in callers:
            reading.wrong_at(("processes", name), f"{name} has no link that comes from it")
    for name in processes:
        if name in reached(value, name):
            reading.wrong_at(("processes", name), f"the links lead from {name} back to {name}")


def reached(value, name):
    found, new = set(), calls(value, name)
    while new:
        found |= new
        new = {further for one in new for further in calls(value, one)} - found
    return found


def check_adversaries(value, reading):
    processes = value["processes"]
    for name, adversary in value["adversaries"].items():
        for position in adversary.get("positions", []):
            if "form" not in processes.get(position, {}):
                reading.wrong_at(("adversaries", name, "positions"), f"{name}: position {position} is no equipment of this scenario")
        for process in adversary.get("files", {}):
            where = ("adversaries", name, "files", process)
            if process not in processes:
                reading.wrong_at(where, f"{name} is granted files of {process}, which is none of the processes")
            elif adversary["stands"] == "network":
                reading.wrong_at(where, f"{name} stands in the network and is granted files of {process}: whoever carries has no files of others")
            elif processes[process]["managed"] != adversary["stands"]:
                reading.wrong_at(where, f"{name} stands {adversary['stands']} and is granted files of {process}, which is managed "
                                        f"{processes[process]['managed']}")


def check_assertions(value, reading):
    known = outcomes()
    columns = boundary.columns(value["processes"])
    seen = set()
    for at, one in enumerate(value["assertions"]):
        def wrong(text, *keys, at=at, name=one["id"]):
            reading.wrong_at(("assertions", at, *keys), f"{name}: {text}")
        if one["id"] in seen:
            wrong("stands there twice", "id")
        seen.add(one["id"])
        if not one["id"].startswith(value["scenario"] + "."):
            wrong(f"is no assertion of {value['scenario']}", "id")
        ends = [end for end in ENDS if end in one]
        if len(ends) + ("expected" in one) != 1:
            wrong("wanted either expected, or one of " + ", ".join(ENDS))
        if "changes" in one and not is_judged_afterwards(one):
            wrong("changes something, and only after negative assertions that run it is looked what changed", "changes")
        for outcome, components in one["outcomes"].items():
            if outcome not in known:
                wrong(f"{outcome} is none of the reference's outcomes", "outcomes", outcome)
                continue
            for component in components:
                if component not in columns:
                    wrong(f"{component} has no column here: nothing of that kind is in the product", "outcomes", outcome)
                elif component not in (*known[outcome]["components"], "APP3"):
                    wrong(f"the reference asks {outcome} of {', '.join(known[outcome]['components'])} only, not of {component}", "outcomes", outcome)


def is_built_in(assertion):
    """One of the last two, which every scenario has, and after which nothing is as it was."""
    return assertion["id"].rsplit(".", 1)[1] in BUILT_IN


def is_judged_afterwards(assertion):
    """Whether rule R2 is held to after it (aftermath.py)."""
    return assertion["polarity"] == "negative" and "expected" in assertion and not is_built_in(assertion)


def check_reference(value, reading):
    there = {one["id"] for one in value["assertions"]}
    for name in reference_assertions(value["scenario"]):
        if not any(re.fullmatch(re.escape(name) + "[a-z]?", one) for one in there):
            reading.wrong_at(("assertions",), f"the reference's {name} is missing")
    for name in BUILT_IN:
        if f"{value['scenario']}.{name}" not in there:
            reading.wrong_at(("assertions",), f"{value['scenario']}.{name} is missing, which every scenario has")


def check_mutants(value, reading):
    known = known_mutants()
    can_fail = {one["id"] for one in value["assertions"] if "expected" in one}
    for name, mutant in value["mutants"].items():
        if name not in known:
            reading.wrong_at(("mutants", name), f"{name} is no mutant; known are {', '.join(sorted(known))}")
        for failing in mutant["fails"]:
            if failing not in can_fail:
                reading.wrong_at(("mutants", name, "fails"), f"{name}: {failing} is no assertion that runs")
