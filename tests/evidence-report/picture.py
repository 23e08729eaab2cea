"""A scenario as a picture: processes by how far they are from whoever calls first, each product within its trust boundary,
infrastructure apart, and where adversaries stand; below it all those who have nothing but a place. All positions are computed;
whatever a new scenario holds finds its place."""

import places  # noqa: F401
import scenario as scenarios
from words import plain, text

WIDTH, GUTTER, LINE, GAP, TOP = 142, 44, 15, 14, 26
ROOMY = 230  # of a lane alone in its row
MANY = 3  # more of the same than this are drawn as one
MOST_PRODUCTS = 4
SHARED = "all"  # where a component stands that serves every product
STANDS = {"local": "local", "remote": "remote", "network": "in the network"}


def ranks(scenario):
    """Process → column: behind all that call it; whoever is called by nobody stands just before what it calls."""
    called = {name: scenarios.calls(scenario.value, name) for name in scenario.processes}
    callers = {name: [other for other, to in called.items() if name in to] for name in called}
    found = {}
    for name in reversed(scenario.order()):
        found[name] = max((found[other] + 1 for other in callers[name]), default=0)
    for name, others in callers.items():
        if not others and called[name]:
            found[name] = min(found[other] for other in called[name]) - 1
    lowest = min(found.values())
    return {name: rank - lowest for name, rank in found.items()}


def tags(scenario, name):
    """What adversaries have of a process, as (class, text)."""
    found = []
    for adversary, entry in scenario.value["adversaries"].items():
        if name in entry.get("positions", []):
            found.append(("position", f"{adversary} is here"))
        if name in entry.get("files", {}):
            found.append(("files", f"{adversary} has files"))
    return found


class Node:
    def __init__(self, scenario, names):
        first = scenario.processes[names[0]]
        self.names = names
        self.title = names[0] if len(names) == 1 else f"{len(names)} × {first.get('kind', first['program'].removeprefix('keystead-'))}"
        what = {"keystead-device-sim": "device", "keystead-gateway": "gateway", "keystead-backend": "backend", "keystead-mobile-stub": "app",
                "keystead-infra-sim": first.get("form")}[first["program"]]
        self.subtitle = ", ".join([what, *(["remote"] if first["managed"] == "remote" else []), *(["spare"] if first.get("spare") else [])])
        self.tags = tags(scenario, names[0])
        self.inside = first["in_product"]
        self.height = 2 * LINE + 14 + LINE * len(self.tags)
        self.x = self.y = 0


class Other:
    """An adversary with neither a position nor files of a process: it is at none of them."""
    height = 2 * LINE + 14

    def __init__(self, name, stands):
        self.name = name
        self.stands = STANDS[stands]
        self.title = f"{name}: {self.stands}, with nothing but its place"
        self.x = self.y = 0


def others(scenario):
    return [Other(name, entry["stands"]) for name, entry in scenario.value["adversaries"].items() if not (entry.get("positions") or entry.get("files"))]


def lane_of(scenario, name):
    process = scenario.processes[name]
    if not process["in_product"]:
        return None
    if "product" not in process:
        return SHARED
    return f"product {process['product']}" if len(scenario.products) <= MOST_PRODUCTS else f"{len(scenario.products)} products"


def nodes_of(scenario, rank):
    """lane → column → nodes; what is alike and many becomes one node."""
    alike = {}
    for name, process in scenario.processes.items():
        key = (lane_of(scenario, name), rank[name], process["program"], process.get("form"), process.get("kind"), process["managed"],
               process.get("spare"), tuple(tags(scenario, name)))
        alike.setdefault(key, []).append(name)
    lanes = {}
    for key, names in alike.items():
        groups = [names] if len(names) > MANY else [[name] for name in names]
        lanes.setdefault(key[0], {}).setdefault(key[1], []).extend(Node(scenario, group) for group in groups)
    return lanes


def lay_out(lanes):
    """Sets x and y of every node; (lane, top, height, left, right) of each lane, beside another one where they share no column."""
    order = sorted((lane for lane in lanes if lane), key=lambda lane: (lane == SHARED, lane)) + ([None] if None in lanes else [])
    bands = []
    columns = {column for nodes in lanes.values() for column in nodes}
    for lane in order:
        left, right = 4 + min(lanes[lane]) * (WIDTH + GUTTER), 24 + max(lanes[lane]) * (WIDTH + GUTTER) + WIDTH
        if columns == {0}:  # nobody calls anybody: there is room for what the lanes are called
            right = max(right, left + ROOMY)
        y = max((top + height + 22 for _, top, height, start, end in bands if start < right and left < end), default=8)
        deepest = 0
        for column, nodes in lanes[lane].items():
            below = y + TOP
            for node in nodes:
                node.x, node.y = 14 + column * (WIDTH + GUTTER), below
                below += node.height + GAP
            deepest = max(deepest, below)
        bands.append((lane, y, deepest - y, left, right))
    return bands


def extent(nodes, bands):
    """(width, height) of all processes with their boundaries."""
    return (max(max(node.x for node in nodes) + WIDTH + 24, max(right for *_, right in bands) + 14),
            max(top + deep for _, top, deep, _, _ in bands) + 8)


def beside(scenario, width, below):
    """The others in rows below everything, as many in each as there is room for."""
    placed = others(scenario)
    across = max(1, int(width - 28 + GAP) // (WIDTH + GAP))
    for at, other in enumerate(placed):
        other.x, other.y = 14 + at % across * (WIDTH + GAP), below + TOP + at // across * (other.height + GAP)
    return placed


def route(start, end, bands, shift):
    """A way from node to node that keeps to the gaps between columns and between lanes."""
    here, there = start.y + start.height / 2 + shift, end.y + end.height / 2 + shift
    out, into = start.x + WIDTH + GUTTER / 2 + 2 + 3 * shift, end.x - GUTTER / 2 + 2 + 3 * shift
    points = [(start.x + WIDTH, here), (out, here)]
    if abs(out - into) > 1:  # other columns lie between: along the gap below the start's lane
        gap = next(top + height for _, top, height, left, right in bands if top <= start.y < top + height and left < start.x < right) + 11 + shift
        points += [(out, gap), (into, gap)]
    points += [(into, there), (end.x - 7, there)]
    return "M" + " L".join(f"{x:g} {y:g}" for x, y in points)


def shortened(value, most=23):
    return value if len(value) <= most else value[:most - 1] + "…"


def draw_node(node):
    kind = "inside" if node.inside else "outside"
    parts = [f'<g class="node {kind}"><title>{text(", ".join(node.names))}</title>']
    if len(node.names) > 1:
        parts.append(f'<rect x="{node.x + 5}" y="{node.y + 5}" width="{WIDTH}" height="{node.height}" rx="9"/>')
    parts.append(f'<rect x="{node.x}" y="{node.y}" width="{WIDTH}" height="{node.height}" rx="9"/>')
    parts.append(f'<text x="{node.x + 11}" y="{node.y + 19}" class="name">{text(shortened(plain(node.title), 18))}</text>')
    parts.append(f'<text x="{node.x + 11}" y="{node.y + 19 + LINE}" class="what">{text(node.subtitle)}</text>')
    for at, (kind, words) in enumerate(node.tags):
        y = node.y + 24 + LINE * (at + 1)
        shape = f'<path d="M{node.x + 9} {y + 9}l5 -9l5 9z"/>' if kind == "position" else f'<rect x="{node.x + 10}" y="{y + 1}" width="8" height="8"/>'
        parts.append(f'<g class="adversary">{shape}<text x="{node.x + 23}" y="{y + 9}">{text(shortened(words, 18))}</text></g>')
    return "".join(parts) + "</g>"


def draw_other(other):
    x, y = other.x, other.y + 19
    return (f'<g class="node outside other"><title>{text(other.title)}</title>'
            f'<rect x="{x}" y="{other.y}" width="{WIDTH}" height="{other.height}" rx="9"/>'
            f'<g class="adversary"><path d="M{x + 9} {y}l5 -9l5 9z"/><text x="{x + 23}" y="{y}">{text(shortened(other.name, 18))}</text></g>'
            f'<text x="{x + 11}" y="{y + LINE}" class="what">{text(other.stands)}</text></g>')


def draw(scenario):
    """The SVG element."""
    rank = ranks(scenario)
    lanes = nodes_of(scenario, rank)
    bands = lay_out(lanes)
    nodes = [node for columns in lanes.values() for group in columns.values() for node in group]
    where = {name: node for node in nodes for name in node.names}
    width, height = extent(nodes, bands)
    parts = []
    for lane, top, deep, left, right in bands:
        label = f"boundary of {lane}" if lane else "infrastructure, not trusted"
        parts.append(f'<rect class="{"boundary" if lane else "ground"}" x="{left}" y="{top}" width="{right - left}" height="{deep:g}" rx="14"/>')
        parts.append(f'<text class="lane{"" if lane else " open"}" x="{left + 12}" y="{top + 18}">{text(shortened(label, int((right - left - 20) / 6.4)))}</text>')
    for path in ways(scenario, where, bands):
        parts.append(f'<path class="way" d="{path}" marker-end="url(#arrow-{text(scenario.id)})"/>')
    parts += [draw_node(node) for node in nodes]
    if placed := beside(scenario, width, height):
        parts.append(f'<text class="lane open" x="14" y="{height + 18:g}">others who act</text>')
        parts += map(draw_other, placed)
        height = placed[-1].y + Other.height + GAP
    name = text(scenario.id)
    return (f'<svg class="picture{" wide" if width > 900 else ""}" role="img" aria-labelledby="picture-{name}-title picture-{name}-words" '
            f'viewBox="0 0 {width} {height:g}" width="{width}" height="{height:g}">'
            f'<title id="picture-{name}-title">{text(f"The processes of {scenario.id} and who calls whom")}</title>'
            f'<defs><marker id="arrow-{name}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0 0l8 4l-8 4z" class="head"/></marker></defs>{"".join(parts)}</svg>')


def ways(scenario, where, bands):
    """One path for each pair that is connected, not one for each link."""
    pairs = dict.fromkeys((id(where[name]), id(where[other])) for name in scenario.processes for other in sorted(scenarios.calls(scenario.value, name)))
    known = {id(node): node for node in where.values()}
    for at, (start, end) in enumerate(pairs):
        if start != end:
            yield route(known[start], known[end], bands, at % 5 - 2)


def in_words(scenario):
    """Each link as a sentence; that there is none, as one."""
    if not scenario.links:
        return ["nobody calls anybody"]
    return [f"{', '.join(link['from'])} → {' → '.join([*link.get('through', []), link['to']])}" for link in scenario.links.values()]


def others_in_words(scenario):
    """Each adversary with nothing but its place, as a sentence."""
    return [f"{other.name} stands {other.stands}, with nothing but its place" for other in others(scenario)]
