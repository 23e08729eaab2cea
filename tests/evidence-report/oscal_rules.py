"""The rules of OSCAL 1.1's models that matter for what we write: what must be there, what may be, how values look, and that what is
referred to exists. Not a schema: it knows the parts of the four models that we use, and refuses every other."""

import re

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TOKEN = re.compile(r"[^\W\d][\w.-]*")
STRING = re.compile(r"\S(.*\S)?")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:.+")
REFERENCE = re.compile(r"\S+")


def enum(*choices):
    return re.compile("|".join(map(re.escape, choices)))


# A shape is a pattern (a text), [shape] (a list that is not empty), a name of SHAPES, or EMPTY ({}). A key with * has to be there.
EMPTY = object()
SHAPES = {
    "prop": {"name*": TOKEN, "value*": STRING, "ns": URI, "uuid": UUID, "class": TOKEN, "remarks": STRING},
    "metadata": {"title*": STRING, "last-modified*": TIME, "version*": STRING, "oscal-version*": enum("1.1.0", "1.1.1", "1.1.2", "1.1.3"),
                 "props": ["prop"], "roles": ["role"], "parties": ["party"], "responsible-parties": ["responsible"]},
    "role": {"id*": TOKEN, "title*": STRING},
    "party": {"uuid*": UUID, "type*": enum("person", "organization"), "name": STRING, "remarks": STRING},
    "responsible": {"role-id*": TOKEN, "party-uuids*": [UUID]},
    "back-matter": {"resources": ["resource"]},
    "resource": {"uuid*": UUID, "title": STRING, "rlinks": ["rlink"]},
    "rlink": {"href*": REFERENCE, "media-type": re.compile(r"\w+/[\w.+-]+"), "hashes": ["hash"]},
    "hash": {"algorithm*": enum("SHA-256"), "value*": re.compile("[0-9a-f]{64}")},
    "catalog": {"uuid*": UUID, "metadata*": "metadata", "groups": ["group"]},
    "group": {"id": TOKEN, "class": TOKEN, "title*": STRING, "controls": ["control"]},
    "control": {"id*": TOKEN, "class": TOKEN, "title*": STRING, "props": ["prop"], "parts": ["part"]},
    "part": {"id": TOKEN, "name*": TOKEN, "title": STRING, "prose": STRING, "parts": ["part"]},
    "component-definition": {"uuid*": UUID, "metadata*": "metadata", "components": ["defined"]},
    "defined": {"uuid*": UUID, "type*": TOKEN, "title*": STRING, "description*": STRING, "props": ["prop"], "control-implementations": ["implementation"]},
    "implementation": {"uuid*": UUID, "source*": REFERENCE, "description*": STRING, "implemented-requirements*": ["requirement"]},
    "requirement": {"uuid*": UUID, "control-id*": TOKEN, "description*": STRING, "props": ["prop"], "statements": ["statement"]},
    "statement": {"statement-id*": TOKEN, "uuid*": UUID, "description*": STRING},
    "component": {"uuid*": UUID, "type*": TOKEN, "title*": STRING, "description*": STRING, "props": ["prop"], "status*": "status"},
    "status": {"state*": enum("under-development", "operational", "disposition", "other")},
    "assessment-plan": {"uuid*": UUID, "metadata*": "metadata", "import-ssp*": "import", "local-definitions": "plan-definitions",
                        "reviewed-controls*": "reviewed", "assessment-subjects": ["subjects"], "assessment-assets": "assets", "tasks": ["task"],
                        "back-matter": "back-matter"},
    "import": {"href*": REFERENCE, "remarks": STRING},
    "plan-definitions": {"components": ["component"], "activities": ["activity"]},
    "activity": {"uuid*": UUID, "title": STRING, "description*": STRING, "props": ["prop"], "steps": ["step"]},
    "step": {"uuid*": UUID, "title": STRING, "description*": STRING, "props": ["prop"], "reviewed-controls": "reviewed"},
    "reviewed": {"control-selections*": ["selection"]},
    "selection": {"include-all": EMPTY, "include-controls": ["include"]},
    "include": {"control-id*": TOKEN},
    "subjects": {"type*": TOKEN, "include-all": EMPTY},
    "assets": {"components": ["component"], "assessment-platforms*": ["platform"]},
    "platform": {"uuid*": UUID, "title": STRING},
    "task": {"uuid*": UUID, "type*": enum("milestone", "action"), "title*": STRING, "associated-activities": ["associated"]},
    "associated": {"activity-uuid*": UUID, "subjects*": ["subjects"]},
    "assessment-results": {"uuid*": UUID, "metadata*": "metadata", "import-ap*": "import", "results*": ["result"], "back-matter": "back-matter"},
    "result": {"uuid*": UUID, "title*": STRING, "description*": STRING, "start*": TIME, "end": TIME, "props": ["prop"],
               "local-definitions": "result-definitions", "reviewed-controls*": "reviewed", "observations": ["observation"], "risks": ["risk"],
               "findings": ["finding"]},
    "result-definitions": {"components": ["component"], "assessment-assets": "assets"},
    "observation": {"uuid*": UUID, "title": STRING, "description*": STRING, "props": ["prop"], "methods*": [enum("EXAMINE", "INTERVIEW", "TEST", "UNKNOWN")],
                    "types": [TOKEN], "origins": ["origin"], "subjects": ["subject"], "relevant-evidence": ["relevant"], "collected*": TIME,
                    "remarks": STRING},
    "origin": {"actors*": ["actor"]},
    "actor": {"type*": enum("tool", "assessment-platform", "party"), "actor-uuid*": UUID},
    "subject": {"subject-uuid*": UUID, "type*": TOKEN},
    "relevant": {"href": REFERENCE, "description*": STRING},
    "risk": {"uuid*": UUID, "title*": STRING, "description*": STRING, "statement*": STRING, "status*": TOKEN},
    "finding": {"uuid*": UUID, "title*": STRING, "description*": STRING, "props": ["prop"], "target*": "target", "implementation-statement-uuid": UUID,
                "related-observations": ["related-observation"], "related-risks": ["related-risk"]},
    "target": {"type*": enum("statement-id", "objective-id"), "target-id*": TOKEN, "status*": "objective-status"},
    "objective-status": {"state*": enum("satisfied", "not-satisfied"), "reason": TOKEN, "remarks": STRING},
    "related-observation": {"observation-uuid*": UUID},
    "related-risk": {"risk-uuid*": UUID},
}


def shape_problems(value, shape, where):
    if isinstance(shape, re.Pattern):
        if not isinstance(value, str) or not shape.fullmatch(value):
            yield f"{where} is {value!r}"
    elif isinstance(shape, list):
        if not isinstance(value, list) or not value:
            yield f"{where} is no list, or an empty one"
        else:
            for at, one in enumerate(value):
                yield from shape_problems(one, shape[0], f"{where}[{at}]")
    elif shape is EMPTY:
        if value != {}:
            yield f"{where} is not {{}}"
    elif not isinstance(value, dict):
        yield f"{where} is no object"
    else:
        known = {key.rstrip("*"): one for key, one in SHAPES[shape].items()}
        yield from (f"{where}.{key[:-1]} is missing" for key in SHAPES[shape] if key.endswith("*") and key[:-1] not in value)
        for key, one in value.items():
            if key in known:
                yield from shape_problems(one, known[key], f"{where}.{key}")
            else:
                yield f"{where}.{key} is nothing that the model has"


def walk(value):
    """(key, value) of everything in a document."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield key, one
            yield from walk(one)
    elif isinstance(value, list):
        for one in value:
            yield from walk(one)


REFERS = {"observation-uuid", "risk-uuid", "activity-uuid", "subject-uuid", "actor-uuid", "implementation-statement-uuid"}


def problems(documents):
    """What is wrong with documents by name of their root, as texts."""
    found = [text for name, document in documents.items() for text in shape_problems(document, name, name)]
    defined, controls, statements = {}, set(), set()
    for name, document in documents.items():
        here = [value for key, value in walk(document) if key == "uuid"]
        twice = {value for value in here if here.count(value) > 1} if name != "assessment-results" else repeated(document)
        found += [f"{name}: two things have the id {value}" for value in sorted(twice)]
        defined[name] = set(here)
    for key, value in walk(documents.get("catalog", {})):
        if key == "controls":
            controls |= {control.get("id") for control in value}
        if key == "parts":
            statements |= {part.get("id") for part in value}
    everywhere = set().union(*defined.values()) if defined else set()
    for name, document in documents.items():
        for key, value in walk(document):
            if key in REFERS and value not in everywhere:
                found.append(f"{name}: {key} {value} leads nowhere")
            if key == "href" and isinstance(value, str) and value.startswith("#") and value[1:] not in resources(document):
                found.append(f"{name}: {value} is no resource of its back matter")
            if key == "control-id" and controls and value not in controls:
                found.append(f"{name}: {value} is no control of the catalog")
            if key in ("target-id", "statement-id") and statements and isinstance(value, str) and TOKEN.fullmatch(value) and value not in statements:
                found.append(f"{name}: {value} is no statement of the catalog")
        found += [f"{name}: {text}" for text in who(document)]
    found += selections(documents)
    return found


def repeated(document):
    """Findings, observations and risks are numbered once in all results; what a result defines for itself may come again."""
    here = [one["uuid"] for result in document.get("results", []) for kind in ("observations", "findings", "risks") for one in result.get(kind, [])
            if isinstance(one, dict) and "uuid" in one]
    return {value for value in here if here.count(value) > 1}


def who(document):
    """Roles and parties are those of the document's own metadata."""
    metadata = document.get("metadata", {})
    roles, parties = {one.get("id") for one in metadata.get("roles", [])}, {one.get("uuid") for one in metadata.get("parties", [])}
    for key, value in walk(document):
        if key == "role-id" and value not in roles:
            yield f"role-id {value} names no role of its metadata"
        if key == "party-uuids":
            yield from (f"party-uuids {one} names no party of its metadata" for one in value if one not in parties)


def resources(document):
    return {one.get("uuid") for one in document.get("back-matter", {}).get("resources", [])}


def selections(documents):
    """A selection of controls selects something, in one way."""
    return [f"{name}: a selection has {sorted(one)}" for name, document in documents.items() for key, value in walk(document)
            if key == "control-selections" and isinstance(value, list) for one in value if len({"include-all", "include-controls"} & set(one)) != 1]
