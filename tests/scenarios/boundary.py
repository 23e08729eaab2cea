"""Which processes belong to the product (CSWP 33, section 2): computed from what a scenario's file says, and measured.

    in product = needed beyond basic features and (a component of the manufacturer or able to read application data)

B1 to B5 follow from the rule. B6 is a measurement: whatever a file says, who is declared without application-layer access and
nevertheless shows the planted text breaks the scenario. Knows nothing of processes or files."""


def in_product(process):
    """`process`: a mapping with the three facts the rule asks for."""
    return process["needed_beyond_basic"] and (process["manufacturer_component"] or process["application_layer_access"])


def reason(process):
    """Why a process is in or out, in words."""
    if not process["needed_beyond_basic"]:
        return "out: the product's features do not need it"
    if process["manufacturer_component"]:
        return "in: needed, and a component of the manufacturer's product line"
    if process["application_layer_access"]:
        return "in: needed, and it can read application data"
    return "out: needed, but a general thing of somebody else that cannot read application data"


def columns(processes):
    """The components that a report must have a column for; `processes`: name → mapping. One that lacks its component, which is
    a mistake in a file, has none."""
    return sorted({process["component"] for process in processes.values() if in_product(process) and "component" in process})


def contradictions(processes):
    """Name → why, for each whose file claims another side of the boundary than the rule."""
    return {name: reason(process) for name, process in processes.items() if process["in_product"] != in_product(process)}


def must_not_read(processes):
    """Who is declared without application-layer access: the places where B6 looks."""
    return sorted(name for name, process in processes.items() if not process["application_layer_access"])


class Measurement:
    """What B6 found: process → how many bytes were looked at, and the hits there."""

    def __init__(self):
        self.looked = {}
        self.hits = {}

    def add(self, process, size, hits):
        self.looked[process] = self.looked.get(process, 0) + size
        self.hits.setdefault(process, set()).update(hits)

    def readers(self):
        return {process for process, hits in self.hits.items() if hits}


def judge(processes, measured, control, blind=()):
    """What is wrong with B6, as texts; empty when it holds. `control`: the same with the protection off, where every place must
    show the text, or not finding it elsewhere proves nothing; `blind`: those for whom TLS of others hides it even there."""
    wrong = []
    for name in must_not_read(processes):
        if not measured.looked.get(name):
            wrong.append(f"{name} was not looked into")
        if measured.hits.get(name):
            wrong.append(f"{name} is declared without application-layer access and shows {', '.join(sorted(map(str, measured.hits[name])))}")
        if name not in blind and name not in control.readers():
            wrong.append(f"with the protection off {name} does not show the planted text: the search cannot see there")
    return wrong
