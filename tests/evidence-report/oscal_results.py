"""The results: one set over all scenarios and one for each scenario, findings for cells, observations for assertions, a risk for
everything that is not met, and the evidence's files with their digests."""

import datetime
import urllib.parse

import places  # noqa: F401
from evidence import sha256_of
from oscal_shapes import line, prop, uid

STATE = {"MET": "satisfied"}  # everything else is not


def harness(report):
    return {"uuid": uid("tool", "scenario"), "type": "software", "title": "scripts/scenario", "description": "Runs a deployment as real processes with "
            "its adversaries, and writes evidence of every assertion.", "props": [prop("commit", report.commit)], "status": {"state": "operational"}}


def run_key(run):
    """What a run is, not when it was, of which build, or where its folder lies: whoever runs it again finds everything under the same id."""
    return (run.scenario.id, run.mutant, str(run.ordinal))


def keys_of(runs):
    """What a set of runs is, whatever their order."""
    return [part for key in sorted(map(run_key, runs)) for part in key]


def time_of(run, seconds):
    return (run.began + datetime.timedelta(seconds=seconds)).astimezone(datetime.timezone.utc).isoformat()


def observation(run, assertion):
    entries = [entry for (name, _, _), entry in run.cells.items() if name == assertion["id"]]
    entry = entries[0]
    verdict = run.verdicts()[assertion["id"]]
    seen = line(entry["observed"] or entry["reason"])
    components = dict.fromkeys(one["component"] for one in entries)
    evidence = [{"href": f"#{uid('file', *run_key(run), file['path'])}", "description": f"{file['path']} of this run"} for file in entry["files"]]
    evidence.append({"href": f"#{uid('evidence', *run_key(run))}", "description": f"Line {entry['number']} of the evidence"})
    return {"uuid": uid("observation", *run_key(run), assertion["id"]), "title": f"{assertion['id']}: {line(assertion['says'])}", "description": seen,
            "props": [prop("verdict", verdict), prop("polarity", assertion["polarity"]), prop("level", entry["level"]), prop("assertion", assertion["id"]),
                      *([prop("mutant", run.mutant)] if run.mutant else [])],
            "methods": ["TEST"], "types": ["control-objective"],
            "origins": [{"actors": [{"type": "tool", "actor-uuid": uid("tool", "scenario")}]}],
            "subjects": [{"subject-uuid": uid("component", component), "type": "component"} for component in components],
            "relevant-evidence": evidence, "collected": time_of(run, entry["at"]), "remarks": f"Expected: {line(entry['expected'])}"}


def finding(report, cell, statement_id):
    name = cell.scenario or "all"
    run_of = report.real
    related = [{"observation-uuid": uid("observation", *run_key(run_of[entry["scenario"]]), entry["assertion"])} for entry in cell.entries]
    for mutant in report.mutants:
        noticed = sorted({entry["assertion"] for entry in cell.entries if mutant.name in cell.killers.get(entry["assertion"], ())
                          and mutant.scenario == entry["scenario"]})
        run = next((run for run in report.runs if run.mutant == mutant.name and run.scenario.id == mutant.scenario), None)
        related += [{"observation-uuid": uid("observation", *run_key(run), assertion)} for assertion in noticed]
    reasons = "; ".join(map(line, cell.reasons)) or "Everything about it holds, and mutants were noticed."
    risk = [{"risk-uuid": uid("risk", name, cell.outcome, cell.component)}] if cell.verdict == "NOT_MET" else []
    return {"uuid": uid("finding", name, cell.outcome, cell.component), "title": f"{cell.outcome} {cell.component}" + (f" in {name}" if cell.scenario else ""),
            "description": reasons, "props": [prop("verdict", cell.verdict), prop("component", cell.component), *([prop("level", cell.level)] if cell.level else [])],
            "target": {"type": "statement-id", "target-id": statement_id(cell.outcome, cell.component),
                       "status": {"state": STATE.get(cell.verdict, "not-satisfied"), "reason": cell.verdict, "remarks": reasons}},
            "implementation-statement-uuid": uid("statement", cell.component, cell.outcome), "related-observations": related, "related-risks": risk}


def risk(cell):
    reasons = "; ".join(map(line, cell.reasons))
    return {"uuid": uid("risk", cell.scenario or "all", cell.outcome, cell.component), "title": f"{cell.outcome} is not met by {cell.component}",
            "description": reasons, "statement": "Whoever relies on this outcome relies on what does not hold; docs/threat-model.md says who could use it.",
            "status": "open"}


def result(report, key, title, description, runs, cells, statement_id, reviewed, components):
    observations = [observation(run, assertion) for run in runs for assertion in run.scenario.assertions]
    return {"uuid": uid("result", key, *keys_of(runs)), "title": title, "description": description,
            "start": time_of(min(runs, key=lambda run: run.began), 0), "end": max(time_of(run, run.seconds) for run in runs),
            "props": [prop("build", run.head["build"]) for run in runs[:1]],
            "local-definitions": {"components": components, "assessment-assets": {
                "components": [harness(report)], "assessment-platforms": [{"uuid": uid("platform"), "title": "One machine"}]}},
            "reviewed-controls": reviewed(list(dict.fromkeys(cell.outcome for cell in cells))), "observations": observations,
            "risks": [risk(cell) for cell in cells if cell.verdict == "NOT_MET"],
            "findings": [finding(report, cell, statement_id) for cell in cells]}


def results(report, components, reviewed, statement_id):
    distinct = list({run_key(run): run for run in report.runs}.values())
    limits = "; ".join(f"{limit['id']}: {limit['what']}; it would need {limit['needs']}" for limit in report.reference.limits)
    whole = result(report, "all", "All scenarios together", "No simulator can show: " + line(limits), distinct, list(report.cells.values()),
                   statement_id, reviewed, components)
    made = [whole]
    for name, scenario in report.scenarios.items():
        run = report.real[name]
        cells = [cell for (there, _, _), cell in report.by_scenario.items() if there == name]
        one = result(report, name, f"{name}: {scenario.value['title']}", "Not shown: " + line("; ".join(scenario.value["not_shown"])), [run], cells,
                     statement_id, reviewed, [])
        one["observations"] = []  # they stand once, in the results over all
        one["local-definitions"] = None
        made.append(one)
    return {"uuid": uid("assessment-results", *keys_of(distinct)), "results": made, "back-matter": {"resources": resources(distinct)}}


def resources(runs):
    made = []
    for run in runs:
        folder = urllib.parse.quote(run.folder.resolve().name)
        made.append({"uuid": uid("evidence", *run_key(run)), "title": f"evidence.jsonl of {run.name}",
                     "rlinks": [{"href": f"{folder}/evidence.jsonl", "media-type": "application/jsonl",
                                 "hashes": [{"algorithm": "SHA-256", "value": sha256_of(run.path)}]}]})
        files = {file["path"]: file["sha256"] for entry in run.cells.values() for file in entry["files"]}
        made += [{"uuid": uid("file", *run_key(run), path), "title": f"{path} of {run.name}",
                  "rlinks": [{"href": f"{folder}/{path}", "hashes": [{"algorithm": "SHA-256", "value": digest}]}]} for path, digest in files.items()]
    return made
