"""The report as OSCAL 1.1: a catalog of the outcomes, the components, the plan, and the results. Every identifier follows from what it
names (UUIDv5): the same evidence gives the same bytes, and what is run again has the same ids. OSCAL knows satisfied and not-satisfied;
our verdict is the reason, and stands in properties of a namespace of our own."""

import datetime
import json

import oscal_results
from oscal_shapes import VERSION, finish, line, prop, uid

FILES = {"catalog": "catalog.json", "component-definition": "component-definition.json", "assessment-plan": "assessment-plan.json",
         "assessment-results": "assessment-results.json"}


def metadata(report, title):
    party = uid("party", "keystead")
    return {"title": title, "last-modified": report.ended.astimezone(datetime.timezone.utc).isoformat(), "version": report.commit,
            "oscal-version": VERSION, "props": [prop("commit", report.commit)],
            "roles": [{"id": "assessor", "title": "Who ran the scenarios"}],
            "parties": [{"uuid": party, "type": "organization", "name": "Keystead", "remarks": "A first party: no laboratory took part."}],
            "responsible-parties": [{"role-id": "assessor", "party-uuids": [party]}]}


def statement_id(outcome, component):
    return f"{outcome}_smt.{component}"


def catalog(report):
    groups = {}
    for outcome, entry in report.reference.outcomes.items():
        items = [{"id": statement_id(outcome, component), "name": "item", "title": component, "prose": f"{component}: {line(entry['asks'])}"}
                 for component in report.asked(outcome)]
        positive = [line(entry["positive"])] if entry.get("positive") else []
        cases = [*(f"has to work: {one}" for one in positive), *(f"has to be refused: {line(one)}" for one in entry.get("negative", []))]
        parts = [{"id": f"{outcome}_smt", "name": "statement", "prose": line(entry["asks"]), "parts": items},
                 {"id": f"{outcome}_obj", "name": "assessment-objective", "prose": "; ".join(cases)}]
        if entry.get("simulator_limits"):
            parts.append({"id": f"{outcome}_limits", "name": "guidance", "title": "What a simulator cannot show",
                          "prose": "; ".join(map(line, entry["simulator_limits"]))})
        control = {"id": outcome, "class": report.reference.kind(outcome), "title": f"{entry['capability']}: {line(entry['asks'])}",
                   "props": [prop("required-level", report.reference.needed(outcome))], "parts": parts}
        groups.setdefault(entry["capability"], []).append(control)
    return {"uuid": uid("catalog"), "metadata": metadata(report, "Cybersecurity outcomes for an IoT product"),
            "groups": [{"id": token(name), "class": "capability", "title": name, "controls": controls} for name, controls in groups.items()]}


def token(name):
    return "".join(char if char.isalnum() else "-" for char in name.lower())


def component_name(report, component):
    return report.reference.components.get(component, {"name": "third-party app that is the only way to use the product"})["name"]


def component_list(report):
    """Used by every document: the same component has the same id in each."""
    return [{"uuid": uid("component", component), "type": "policy" if component == "ORG" else "software", "title": component_name(report, component),
             "description": f"Column {component} of the report.", "props": [prop("column", component)]} for component in report.columns]


def component_definition(report):
    source = FILES["catalog"]
    components = []
    for entry, component in zip(component_list(report), report.columns):
        asked = [outcome for outcome in report.reference.outcomes if component in report.asked(outcome)]
        requirements = [{"uuid": uid("requirement", component, outcome), "control-id": outcome,
                         "description": line(report.reference.outcomes[outcome]["asks"]),
                         "statements": [{"statement-id": statement_id(outcome, component), "uuid": uid("statement", component, outcome),
                                         "description": "; ".join(map(line, report.cells[(outcome, component)].reasons)) or "Everything about it holds."}],
                         "props": [prop("verdict", report.cells[(outcome, component)].verdict)]} for outcome in asked]
        entry["control-implementations"] = [{"uuid": uid("implementation", component), "source": source,
                                             "description": f"The outcomes that are asked of {component}.", "implemented-requirements": requirements}]
        components.append(entry)
    return {"uuid": uid("component-definition"), "metadata": metadata(report, "Components of a Keystead product"), "components": components}


def local_components(report):
    """Components as assessment documents define them; those have a status."""
    return [{**entry, "status": {"state": "operational"}} for entry in component_list(report)]


def reviewed(outcomes):
    return {"control-selections": [{"include-controls": [{"control-id": outcome} for outcome in outcomes]}]}


def assessment_plan(report):
    resource = uid("no-ssp")
    activities, tasks = [], []
    for name, scenario in report.scenarios.items():
        steps = [{"uuid": uid("step", one["id"]), "title": f"{one['id']}: {line(one['says'])}", "description": line(one.get("expected", one["says"])),
                  "props": [prop("polarity", one["polarity"])],
                  "reviewed-controls": reviewed(one["outcomes"])} for one in scenario.assertions]
        activities.append({"uuid": uid("activity", name), "title": f"{name}: {scenario.value['title']}", "description": line(scenario.value["about"]),
                           "props": [prop("method", "TEST", own=False)], "steps": steps})
        tasks.append({"uuid": uid("task", name), "type": "action", "title": f"scripts/scenario run {name}",
                      "associated-activities": [{"activity-uuid": uid("activity", name),
                                                 "subjects": [{"type": "component", "include-all": {}}]}]})
    return {"uuid": uid("assessment-plan", *sorted(report.scenarios)),
            "metadata": metadata(report, "Scenarios that hold the outcomes against running processes"),
            "import-ssp": {"href": f"#{resource}", "remarks": "There is no system security plan: the component definition says what the system is."},
            "local-definitions": {"components": local_components(report), "activities": activities},
            "reviewed-controls": {"control-selections": [{"include-all": {}}]},
            "assessment-subjects": [{"type": "component", "include-all": {}}],
            "assessment-assets": {"components": [oscal_results.harness(report)],
                                  "assessment-platforms": [{"uuid": uid("platform"), "title": "One machine, with processes and sockets of its own"}]},
            "tasks": tasks,
            "back-matter": {"resources": [{"uuid": resource, "title": "In the place of a system security plan",
                                           "rlinks": [{"href": FILES["component-definition"], "media-type": "application/json"}]}]}}


def documents(report):
    """Name of the root → document."""
    results = {"metadata": metadata(report, "What the scenarios showed"), "import-ap": {"href": FILES["assessment-plan"]},
               **oscal_results.results(report, local_components(report), reviewed, statement_id)}
    made = {"catalog": catalog(report), "component-definition": component_definition(report), "assessment-plan": assessment_plan(report),
            "assessment-results": results}
    return {name: finish(document) for name, document in made.items()}


def as_files(made):
    return {FILES[name]: json.dumps({name: document}, indent=1, ensure_ascii=False) + "\n" for name, document in made.items()}
