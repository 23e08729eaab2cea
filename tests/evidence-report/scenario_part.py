"""One scenario of the page: its picture, who answers for what, its mutants, and each assertion with what was expected and seen."""

import places  # noqa: F401
import model
import picture
from scenario import LAYERS
from words import VERDICT, badge, code, items, link, table, text

POLARITY = {"positive": "has to work", "negative": "has to be refused"}


def mend(scenario, assertion, entry):
    """Where to begin when it does not hold, or what is missing for it to be shown."""
    again = f"scripts/scenario run {scenario.id} --keep"
    if entry["verdict"] in ("NOT_RUN", "NOT_TESTABLE_HERE", "NOT_APPLICABLE") and "expected" not in assertion:
        return text({"NOT_RUN": "Build what is missing, then give the assertion a function in tests/scenarios/checks.",
                     "NOT_TESTABLE_HERE": "Bring the evidence that is named; no change of the code can stand for it.",
                     "NOT_APPLICABLE": "Nothing, as long as the rule's inputs stay as they are."}[entry["verdict"]])
    begin = assertion.get("mend", f"look into tests/scenarios/checks/{scenario.id.lower()}.py for what it asks, and into the files it left")
    return f"{text(begin[0].upper() + begin[1:])}. Again, with all logs and stores kept: {code(again)}"


def seen_on_mutants(report, assertion):
    told = []
    for mutant in report.mutants:
        if assertion["id"] in mutant.fails and mutant.state == "killed":
            run = next(run for run in report.runs if run.mutant == mutant.name and run.scenario.id == mutant.scenario)
            told.append(f"On {code(mutant.name)} ({text(mutant.because)}) it failed, as it had to: {text(run.entry(assertion['id'])['observed'])}")
    return told


def assertion_part(report, run, assertion):
    entry = run.entry(assertion["id"])
    met = run.verdicts()[assertion["id"]] == "MET"
    rows = [("If it ever fails" if met else "How to mend", mend(run.scenario, assertion, entry))]
    rows += [("It can fail", told) for told in seen_on_mutants(report, assertion)]
    rows.append(("Counts for", ", ".join(link(f"outcome-{outcome}", text(f"{outcome} {'+'.join(components)}"))
                                         for outcome, components in assertion["outcomes"].items())))
    return assertion_section(run, assertion, rows)


def assertion_section(run, assertion, more):
    """What was expected and seen, `more` as (name, HTML), and the evidence."""
    entry = run.entry(assertion["id"])
    verdict = run.verdicts()[assertion["id"]]
    rows = [("Expected", text(entry["expected"]))]
    if entry["observed"]:
        rows.append(("Observed", text(entry["observed"])))
    if entry["reason"]:
        rows.append(("Why not" if verdict != "NOT_APPLICABLE" else "Why", text(entry["reason"])))
    rows += more
    if entry["files"]:
        rows.append(("Evidence", items([f"{code(file['path'])} <small>SHA-256 {code(file['sha256'])}</small>" for file in entry["files"]])))
    body = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return (f'<section class="assertion" id="{text(assertion["id"])}" data-verdict="{verdict}"><h4>{badge(verdict)} '
            f'<span class="id">{text(assertion["id"])}</span> {text(assertion["says"])}</h4>'
            f'<p class="polarity">{assertion["polarity"]}: {POLARITY[assertion["polarity"]]}</p><dl>{body}</dl></section>')


def role_name(scenario, role):
    return f"{text(role)} <small>{text(scenario.value['roles'][role]['plays'])}</small>"


def responsibilities(scenario):
    rows = []
    for name, process in scenario.processes.items():
        said = f"<br><small>{text(process['is'])}</small>" if "is" in process else ""
        boundary = f"{text(model.side(process))} <small>{text(model.why_side(process))}</small>"
        rows.append([code(name) + said, boundary, text(process["managed"]), *(role_name(scenario, process["responsible"][layer]) for layer in LAYERS)])
    by_process = table(f"{scenario.id}: who answers for each process", ["Process", "Boundary", "Managed", *(layer.capitalize() for layer in LAYERS)], rows)
    rows = []
    for role, entry in scenario.value["roles"].items():
        answers = [", ".join(name for name, process in scenario.processes.items() if process["responsible"][layer] == role) for layer in LAYERS]
        rows.append([text(role), text(entry["plays"]), text(entry["is"]), *(text(names) or "–" for names in answers)])
    by_role = table(f"{scenario.id}: what each role answers for", ["Role", "Plays", "Is", *(layer.capitalize() for layer in LAYERS)], rows)
    return by_role + by_process


def unshown(scenario):
    """What a scenario does not show, and what it says nobody can solve there, with why."""
    return [text(one) for one in scenario.value["not_shown"]] + [f"<strong>{text(one['is'])}</strong>: {text(one['because'])} "
                                                                 f"({text(one.get('measured', 'not measured'))})" for one in scenario.value.get("unsolved", [])]


def adversaries(scenario):
    told = []
    for name, entry in scenario.value["adversaries"].items():
        has = [f"controls {', '.join(entry['positions'])}"] if entry.get("positions") else []
        has += [f"has {', '.join(what)} of {process}" for process, what in entry.get("files", {}).items()]
        told.append(f"<strong>{text(name)}</strong>, {text(entry['stands'])}: {text(entry['is'])}. "
                    f"Granted: {text('; '.join(has) or 'nothing but its place')}.")
    return told


def figure(scenario):
    name = text(scenario.id)
    others = items([text(words) for words in picture.others_in_words(scenario)])
    others = others and f"<p>Below, at no process:</p>{others}"
    return f"""<figure><div class="scroll" role="region" tabindex="0" aria-label="Picture of {name}">{picture.draw(scenario)}</div>
<figcaption id="picture-{name}-words"><p>Dashed: a product's trust boundary · ▲ an adversary stands there · ■ an adversary has files from there.
Calls go along the arrows:</p>
{items([text(words) for words in picture.in_words(scenario)])}{others}</figcaption></figure>"""


def cell_rows(report, name):
    rows = []
    columns = [column for column in report.columns if column in report.scenarios[name].columns]
    for outcome in report.reference.outcomes:
        cells = [report.by_scenario.get((name, outcome, column)) for column in columns]
        if any(cells):
            rows.append([link(f"outcome-{outcome}", text(outcome)) + f" <small>{text(report.reference.outcomes[outcome]['capability'])}</small>",
                         *(badge(cell.verdict) + f" <small>{len(cell.held)} of {len(cell.entries)} hold</small>" if cell else "–" for cell in cells)])
    return table(f"{name}: verdict of each outcome and component", ["Outcome", *columns], rows)


def scenario_part(report, run):
    scenario = run.scenario
    name = text(scenario.id)
    mutants = [mutant for mutant in report.mutants if mutant.scenario == scenario.id]
    rows = [[code(mutant.name), text(mutant.because), items([link(one, text(one)) for one in mutant.fails], attributes=' class="inline"'),
             f'<span class="mutant" data-state="{mutant.state.replace(" ", "-")}">{mutant.state}</span> <small>{text(mutant.why)}</small>'] for mutant in mutants]
    unasked = sorted({outcome for outcome, _ in report.unasked[scenario.id]}, key=list(report.reference.outcomes).index)
    counts = {}
    for verdict in run.verdicts().values():
        counts[verdict] = counts.get(verdict, 0) + 1
    summary = ", ".join(f"{count} {VERDICT[verdict]}" for verdict, count in sorted(counts.items()))
    return f"""
<article class="scenario" id="scenario-{name}" aria-labelledby="head-{name}">
<h3 id="head-{name}"><span class="id">{name}</span> {text(scenario.value["title"])}</h3>
<p>{text(scenario.value["about"].strip())}</p>
<p class="soft">{len(scenario.assertions)} assertions: {summary}.</p>
{figure(scenario)}
<h4>Adversaries</h4>{items(adversaries(scenario))}
<h4>What {name} does not show</h4>{items(unshown(scenario))}
<h4>What came out</h4>{cell_rows(report, scenario.id)}
<p class="soft">Of its components {name} asks nothing of {text(", ".join(unasked))}: not run.</p>
<h4>Assertions</h4>
{"".join(assertion_part(report, run, assertion) for assertion in scenario.assertions)}
<h4>Builds broken on purpose</h4>{table(f"{scenario.id}: mutants", ["Mutant", "What is broken", "Has to fail", "Result"], rows)}
<h4>Who answers for hardware, platform and software</h4><p class="soft">The handbook's Figure 3, for this deployment.</p>
{responsibilities(scenario)}
</article>"""
