"""What a report says, once: runs, mutants, and the verdict of every cell. Page and OSCAL are made from it and from nothing else."""

import datetime

import places  # noqa: F401
import boundary
import collect
import evidence
import scenario as scenarios
import verdicts


class Report:
    """`cells`: (outcome, component) over all; `by_scenario`: (scenario, outcome, component) with at least one assertion;
    `unasked`: scenario → (outcome, component) of its columns that none of its assertions asks."""

    def __init__(self, runs, reference=None):
        self.runs = runs
        self.reference = reference or verdicts.Reference()
        self.real = {}
        for run in runs:
            if not run.mutant:
                self.real.setdefault(run.scenario.id, run)
        self.scenarios = {name: run.scenario for name, run in self.real.items()}
        others = {run.scenario.id: run.scenario for run in runs if run.mutant and run.scenario.id not in self.real}
        self.commit = next(iter(self.real.values())).commit
        self.mutants = [verdicts.judge_mutant(scenario, name, [run for run in runs if run.scenario.id == scenario.id and run.mutant == name])
                        for scenario in (*self.scenarios.values(), *others.values()) for name in scenario.mutants]
        self.columns = [*self.reference.components]
        if any("APP3" in scenario.columns for scenario in self.scenarios.values()):
            self.columns.insert(self.columns.index("APP") + 1, "APP3")
        self._judge()
        verdicts.check_met(self.reference, [*self.cells.values(), *self.by_scenario.values()])

    def asked(self, outcome):
        """The columns that the reference asks it of; APP3 with APP, where a scenario has it in the product."""
        there = self.reference.outcomes[outcome]["components"]
        return [column for column in self.columns if column in there or (column == "APP3" and "APP" in there)]

    def _judge(self):
        self.cells, self.by_scenario, self.unasked = {}, {}, {name: [] for name in self.scenarios}
        killed = {one.name for one in self.mutants if one.state == "killed"}
        known = known_scenarios()
        for outcome in self.reference.outcomes:
            for component in self.asked(outcome):
                found = []
                for name, run in self.real.items():
                    entries = [entry for (_, one, there), entry in run.cells.items() if (one, there) == (outcome, component)]
                    if entries:
                        mutants = [one for one in self.mutants if one.scenario == name]
                        cell = verdicts.scenario_cell(outcome, component, name, entries, mutants, self.reference.needed(outcome))
                        self.by_scenario[(name, outcome, component)] = cell
                        found.append(cell)
                    elif component in run.scenario.columns:
                        self.unasked[name].append((outcome, component))
                absent = {name: ids for name, scenario in known.items() if name not in self.real
                          and (ids := [one["id"] for one in scenario.runnable() if (outcome, component) in scenario.cells(one)])}
                self.cells[(outcome, component)] = verdicts.over_all(self.reference, outcome, component, found, killed, absent)

    @property
    def began(self):
        return min(run.began for run in self.runs)

    @property
    def ended(self):
        return max(run.began + datetime.timedelta(seconds=round(run.seconds)) for run in self.runs)

    def troubles(self):
        """What makes the whole report weaker, as sentences."""
        told = []
        if not any(run.mutant for run in self.runs):
            told.append("No run on a mutant is in this report. A run of the real build alone can give no technical outcome MET: only a killed mutant "
                        "shows that an assertion can fail.")
        if self.commit == "unknown" or self.commit.endswith("+"):
            told.append("The tree was changed since its commit, or is in no repository: the commit alone does not lead to this build. "
                        "The SHA-256 of the programs does.")
        for run in self.runs:
            if run.ended is None:
                told.append(f"The run of {run.name} was cut off: what it had not come to is NOT_RUN.")
            elif not run.ended["as_expected"]:
                told.append(f"The run of {run.name} was not as expected.")
        told += [f"The mutant {one.name} was not noticed in {one.scenario} as it had to be: {one.why}." for one in self.mutants if one.state == "missed"]
        return told

    def counts(self):
        """Verdict → how many cells over all. No percentage: they do not weigh the same."""
        found = {}
        for cell in self.cells.values():
            found[cell.verdict] = found.get(cell.verdict, 0) + 1
        return found


def known_scenarios():
    return {path.stem: collect.load_scenario(path, evidence.sha256_of(path)) for path in scenarios.all_files()}


def side(process):
    return "in the product" if process["in_product"] else "infrastructure"


def why_side(process):
    return boundary.reason(process)


def of(folders):
    return Report(collect.read_all(folders))
