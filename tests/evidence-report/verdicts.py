"""The rules of outcomes.yaml: from assertions of runs to a verdict per outcome, component and scenario, and over all scenarios. Knows
nothing of files of evidence, of HTML or of OSCAL."""

import dataclasses

import yaml

import places  # noqa: F401
import scenario as scenarios

TECHNICAL, DOCUMENTATION, PROCESS = "technical", "documentation", "process_features"
LIVE, KILLED = "E3", "E4"  # what a line can show by itself, at most; what it shows with a killed mutant


# Mutants of the reference that are built under another name (decision 42).
SAME_AS = {"plaintext_column": "no_sealing", "shared_instance_key": "one_key_for_all", "authz_check_skipped_on_one_rpc": "one_rpc_without_policy"}


class Reference:
    """outcomes.yaml: `outcomes` id → entry, `limits` what no simulator shows, `components`, `required` kind → level."""

    def __init__(self, path=None):
        with open(path or scenarios.REFERENCE / "outcomes.yaml", encoding="utf-8") as file:
            value = yaml.safe_load(file)
        self.outcomes = {entry["id"]: entry for entry in value["outcomes"]}
        self.limits = value["not_met_in_any_simulator"]
        self.components = value["components"]
        self.required = value["required_level"]
        self.meaning = value["verdicts"]
        self.levels = value["evidence_levels"]
        self.baseline = value["baseline"]

    def kind(self, outcome):
        if "feature" not in self.outcomes[outcome]:
            return TECHNICAL
        return DOCUMENTATION if outcome.startswith("DOC.") else PROCESS

    def needed(self, outcome):
        """The level below which nobody says MET of it."""
        return self.required[self.kind(outcome)]


@dataclasses.dataclass
class Mutant:
    """What became of one mutant of a scenario's file: `state` is killed, missed or not run."""
    scenario: str
    name: str
    fails: list
    because: str
    state: str
    why: str


@dataclasses.dataclass
class Cell:
    """`entries`: the lines of evidence behind it. `killers`: assertion → mutants that it noticed. `scenario` is "" over all."""
    outcome: str
    component: str
    scenario: str
    verdict: str
    reasons: list
    entries: list
    killers: dict
    level: str = ""

    @property
    def held(self):
        return [entry for entry in self.entries if entry["verdict"] == "MET"]


def judge_mutant(scenario, name, runs):
    """`runs`: those of this scenario on this mutant."""
    entry = scenario.mutants[name]

    def result(state, why):
        return Mutant(scenario.id, name, entry["fails"], entry["because"], state, why)
    if not runs:
        return result("not run", f"scripts/scenario run {scenario.id} --mutant {name} is not in this report")
    for run in runs:
        verdicts = run.verdicts()
        failed = {assertion for assertion, verdict in verdicts.items() if verdict == "NOT_MET"}
        broken = sorted(assertion for assertion, verdict in verdicts.items() if verdict == "ERROR")
        if broken:
            return result("missed", f"{', '.join(broken)} ended in an error, which notices nothing")
        if failed != set(entry["fails"]):
            return result("missed", f"{', '.join(sorted(failed)) or 'nothing'} failed on it, where exactly {', '.join(entry['fails'])} had to")
        if run.ended is None or not run.ended["as_expected"]:
            return result("missed", "the run did not come to its end as expected")
    return result("killed", f"exactly {', '.join(entry['fails'])} failed on it")


def scenario_cell(outcome, component, scenario, entries, mutants, needed):
    """`entries`: the lines about this cell; `mutants`: those of the scenario; `needed`: the level of the outcome's kind."""
    killers = {entry["assertion"]: [one.name for one in mutants if one.state == "killed" and entry["assertion"] in one.fails] for entry in entries}
    cell = Cell(outcome, component, scenario, "NOT_RUN", [], entries, {key: names for key, names in killers.items() if names})
    weakest = min((entry["level"] for entry in entries), default="")
    cell.level = KILLED if cell.killers and weakest == LIVE else weakest
    counted = [entry for entry in entries if entry["verdict"] != "NOT_APPLICABLE"]
    cell.reasons = [f"{entry['assertion']} is {entry['verdict']}: {entry['reason']}" for entry in entries if entry["verdict"] != "MET"]
    found = {entry["verdict"] for entry in counted}
    if not entries:
        cell.reasons = [f"no assertion of {scenario} asks it of {component}"]
    elif not counted:
        cell.verdict = "NOT_APPLICABLE"
    elif found & {"NOT_MET", "ERROR"}:
        cell.verdict = "NOT_MET" if "NOT_MET" in found else "ERROR"
    elif "MET" not in found and "PARTIAL" not in found:
        cell.verdict = "NOT_TESTABLE_HERE" if found == {"NOT_TESTABLE_HERE"} else "NOT_RUN"
    else:
        lacking = what_lacks(cell, counted, mutants, needed)
        cell.reasons += lacking
        cell.verdict = "MET" if found == {"MET"} and not lacking else "PARTIAL"
    return cell


def what_lacks(cell, counted, mutants, needed):
    held = [entry for entry in counted if entry["verdict"] == "MET"]
    lacking = [f"no {polarity} assertion of {cell.scenario} holds here" for polarity in ("positive", "negative")
               if not any(entry["polarity"] == polarity for entry in held)]
    lacking += [f"{entry['assertion']} shows it at {entry['level']}, where {needed} is needed" for entry in held if entry["level"] < min(needed, LIVE)]
    if needed >= KILLED:
        names = {entry["assertion"] for entry in counted}
        concerned = [one for one in mutants if names & set(one.fails)]
        lacking += [f"the mutant {one.name} is not killed: {one.why}" for one in concerned if one.state != "killed"]
        if not concerned:
            lacking.append(f"no mutant of {cell.scenario} is named for any of its assertions here, so nothing shows that they can fail")
        elif not any(entry["assertion"] in cell.killers or any(one.state != "killed" for one in concerned)
                     for entry in held if entry["polarity"] == "negative"):
            lacking.append("no mutant was noticed by a negative assertion here")
    return lacking


def over_all(reference, outcome, component, cells, killed, absent):
    """`cells`: those of scenarios with an assertion for it; `killed`: names of mutants killed anywhere; `absent`: scenario → assertions
    that would ask it and are not in this report."""
    entries = [entry for cell in cells for entry in cell.entries]
    killers = {key: names for cell in cells for key, names in cell.killers.items()}
    whole = Cell(outcome, component, "", "NOT_RUN", [], entries, killers)
    whole.level = max((cell.level for cell in cells), default="")
    missing = [f"{name}, which asks it too ({', '.join(ids)}), was not run on this build" for name, ids in absent.items()]
    if not cells:
        whole.reasons = missing or [f"no scenario that exists asks it of {component}"]
        return whole
    whole.reasons = [f"{cell.scenario}: {reason}" for cell in cells for reason in cell.reasons] + missing
    counted = [cell for cell in cells if cell.verdict != "NOT_APPLICABLE"]
    found = {cell.verdict for cell in counted}
    if not counted:
        whole.verdict = "NOT_APPLICABLE"
    elif found & {"NOT_MET", "ERROR"}:
        whole.verdict = "NOT_MET" if "NOT_MET" in found else "ERROR"
    elif not found & {"MET", "PARTIAL"}:
        whole.verdict = "NOT_TESTABLE_HERE" if found == {"NOT_TESTABLE_HERE"} and not missing else "NOT_RUN"
    else:
        asked = reference.outcomes[outcome].get("mutants", [])
        unseen = [name for name in asked if SAME_AS.get(name, name) not in killed]
        if unseen:
            whole.reasons.append(f"of the mutants that the reference asks for, no run here killed {', '.join(unseen)}")
        whole.verdict = "MET" if found == {"MET"} and not unseen and not missing else "PARTIAL"
    return whole


class BrokenRule(Exception):
    """A cell says MET although the rules do not allow it."""


def check_met(reference, cells):
    """Held against the lines themselves, not against how they were judged: the last thing before anything is written."""
    for cell in cells:
        if cell.verdict != "MET":
            continue
        where = f"{cell.outcome} {cell.component}" + (f" in {cell.scenario}" if cell.scenario else "")
        polarities = {entry["polarity"] for entry in cell.held}
        if {entry["verdict"] for entry in cell.entries} - {"MET", "NOT_APPLICABLE"}:
            raise BrokenRule(f"{where} is MET although not all of its assertions are")
        for polarity in ("positive", "negative"):
            if polarity not in polarities:
                raise BrokenRule(f"{where} is MET without a {polarity} case")
        needed, weakest = reference.needed(cell.outcome), min(entry["level"] for entry in cell.held)
        if weakest < min(needed, LIVE):
            raise BrokenRule(f"{where} is MET at {weakest}, where {needed} is needed")
        if needed >= KILLED and not any(entry["polarity"] == "negative" and cell.killers.get(entry["assertion"]) for entry in cell.entries):
            raise BrokenRule(f"{where} is MET without a killed mutant")
