"""The whole report as one page: it asks nobody for anything, and needs no script."""

import base64
import hashlib

import places
from scenario_part import scenario_part, unshown
from words import MEANING, VERDICT, badge, code, items, link, marks, said, table, text

UNSHOWN = ("NOT_RUN", "NOT_TESTABLE_HERE", "NOT_APPLICABLE", "PARTIAL")
FAILED = ("NOT_MET", "ERROR")


def ids_as_links(report, names):
    """Ids of outcomes and scenarios of this report as links, everything else as it is."""
    def one(name):
        if name in report.reference.outcomes:
            return link(f"outcome-{name}", text(name))
        return link(f"scenario-{name}", text(name)) if name in report.scenarios else text(name)
    return ", ".join(map(one, names))


def failures(report):
    rows = []
    for run in report.real.values():
        for name, verdict in run.verdicts().items():
            if verdict in FAILED:
                entry = run.entry(name)
                rows.append([link(name, text(name)), badge(verdict), text(run.scenario.assertion(name)["says"]), said(entry["observed"] or entry["reason"])])
    if not rows:
        return ""
    return "<h3>What failed</h3>" + table("Assertions that failed", ["Assertion", "Verdict", "It says", "Observed"], rows)


def assertions_without(report):
    rows = []
    for run in report.real.values():
        for name, verdict in run.verdicts().items():
            if verdict in UNSHOWN:
                rows.append([link(name, text(name)), badge(verdict), text(run.scenario.assertion(name)["says"]), said(run.entry(name)["reason"])])
    return table("Assertions that could not be shown", ["Assertion", "Verdict", "It says", "Why not"], rows) if rows else ""


def mutants_without(report):
    told = [f"{code(one.name)} in {link(f'scenario-{one.scenario}', text(one.scenario)) if one.scenario in report.scenarios else text(one.scenario)}: "
            f"{one.state}; {text(one.why)}" for one in report.mutants if one.state != "killed"]
    return "<h3>Broken builds that were not noticed</h3>" + items(told) if told else ""


def outcomes_without(report):
    rows = []
    for outcome, entry in report.reference.outcomes.items():
        columns = report.asked(outcome)
        if all(report.cells[(outcome, column)].verdict == "NOT_RUN" for column in columns):
            reasons = list(dict.fromkeys(reason for column in columns for reason in report.cells[(outcome, column)].reasons))
            nobody = all(reason == f"no scenario that exists asks it of {column}" for reason, column in zip(reasons, columns)) and len(reasons) == len(columns)
            why = "no scenario that exists asks it" if nobody else "; ".join(reasons)
            rows.append([link(f"outcome-{outcome}", text(outcome)), text(entry["asks"]), said(why)])
    return ("<h3>Outcomes nothing here shows</h3>" + table("Outcomes that no run in this report asks", ["Outcome", "Asks", "Why"], rows)) if rows else ""


def not_shown(report):
    limits = [[text(limit["id"]), text(limit["what"]), text(limit["needs"]), ids_as_links(report, limit["refs"])] for limit in report.reference.limits]
    troubles = report.troubles()
    scenarios = "".join(f'<h4>{link(f"scenario-{name}", text(name))} {text(scenario.value["title"])}</h4>'
                        f'{items(unshown(scenario))}' for name, scenario in report.scenarios.items())
    return f"""
<section id="not-shown" aria-labelledby="head-not-shown"><h2 id="head-not-shown">What could not be shown</h2>
{'<div class="note"><h3>About this report as a whole</h3>' + items([text(one) for one in troubles]) + '</div>' if troubles else ''}
{failures(report)}
<h3>By any simulator</h3>
{table("What no simulator can show", ["", "What", "Would need", "Concerns"], limits)}
<h3>By these deployments</h3>{scenarios}
<h3>By these runs</h3>{assertions_without(report)}
{mutants_without(report)}
{outcomes_without(report)}
</section>"""


def matrix(report):
    heads = "".join(f'<th scope="col"><abbr title="{text(report.reference.components.get(column, {"name": "third-party app"})["name"])}">{text(column)}</abbr></th>'
                    for column in report.columns)
    body, capability = [], None
    for outcome, entry in report.reference.outcomes.items():
        if entry["capability"] != capability:
            capability = entry["capability"]
            body.append(f'<tr class="group"><th colspan="{len(report.columns) + 1}" scope="colgroup">{text(capability)}</th></tr>')
        cells = []
        for column in report.columns:
            cell = report.cells.get((outcome, column))
            if cell is None:
                cells.append('<td class="unasked"><span class="unseen">not asked</span></td>')
                continue
            count = f'<span class="count" aria-hidden="true">{len(cell.held)}/{len(cell.entries)}</span>' if cell.entries else ""
            cells.append(f'<td data-cell="{text(outcome)} {text(column)}"><a href="#cell-{text(outcome)}-{text(column)}">'
                         f'{badge(cell.verdict, short=True)}{count}</a></td>')
        body.append(f'<tr><th scope="row">{link(f"outcome-{outcome}", text(outcome))} <span class="asks">{text(entry["asks"])}</span></th>{"".join(cells)}</tr>')
    legend = "".join(f"<div><dt>{badge(verdict)}</dt><dd>{text(meaning)}</dd></div>" for verdict, meaning in MEANING.items())
    return f"""
<section id="outcomes" aria-labelledby="head-outcomes"><h2 id="head-outcomes">Outcome × component</h2>
<p>Each cell is the verdict over all scenarios of this report, and how many of its assertions hold. It leads to its reasons.
Outcomes as {text(report.reference.baseline["id"])} numbers them; a blank cell is not asked of that component.</p>
<dl class="legend">{legend}</dl>
<div class="scroll" role="region" tabindex="0" aria-label="Outcome by component"><table class="matrix"><caption>Verdict of each outcome for each component</caption>
<thead><tr><th scope="col">Outcome</th>{heads}</tr></thead><tbody>{"".join(body)}</tbody></table></div>
</section>"""


def cell_part(report, outcome, column):
    cell = report.cells[(outcome, column)]
    held = items([link(entry["assertion"], text(entry["assertion"])) for entry in cell.held], attributes=' class="inline"')
    level = f" <small>evidence {text(cell.level)}, needed {text(report.reference.needed(outcome))}</small>" if cell.level else ""
    shown = f'<div class="held"><span class="label">Holds:</span> {held}</div>' if held else ""
    lacking = items([text(reason) for reason in cell.reasons])
    return f'<div class="cell" id="cell-{text(outcome)}-{text(column)}"><h4>{text(column)} {badge(cell.verdict)}{level}</h4>{shown}{lacking}</div>'


def outcome_part(report, outcome):
    entry = report.reference.outcomes[outcome]
    limits = items([text(limit) for limit in entry.get("simulator_limits", [])])
    maps = "; ".join(f"{scheme} {', '.join(map(str, refs)) if isinstance(refs, list) else refs}" for scheme, refs in entry.get("map", {}).items())
    cells = "".join(cell_part(report, outcome, column) for column in report.asked(outcome))
    return (f'<section class="outcome" id="outcome-{text(outcome)}" aria-labelledby="head-outcome-{text(outcome)}">'
            f'<h3 id="head-outcome-{text(outcome)}"><span class="id">{text(outcome)}</span> {text(entry["capability"])}</h3><p>{text(entry["asks"][0].upper() + entry["asks"][1:])}.</p>'
            + (f'<p class="soft">A simulator\'s limits:</p>{limits}' if limits else "")
            + f'<div class="cells">{cells}</div><p class="soft">See also: {text(maps)}.</p></section>')


def runs_part(commit, runs):
    rows = [[text(run.name), text(run.began.strftime("%Y-%m-%d %H:%M:%S UTC")), f"{run.seconds:.0f} s", code(run.head["build"][:16]), text(run.head["seed"]),
             text("as expected" if run.ended and run.ended["as_expected"] else "not as expected" if run.ended else "cut off")] for run in runs]
    digests = {(broken, program): digest for run in runs for broken, programs in ((True, run.head["control"]), (bool(run.mutant), run.programs))
               for program, digest in programs.items()}
    programs = [[code(program), "mutants" if mutant else "under test", code(digest)] for (mutant, program), digest in sorted(digests.items())]
    return f"""
<section id="evidence" aria-labelledby="head-evidence"><h2 id="head-evidence">Evidence</h2>
<p>All runs are of commit {code(commit)}. This page was made from their <code>evidence.jsonl</code>, after the SHA-256 of every file that they
name had been found as they say. A first party tested itself here, on one machine; no laboratory took part.</p>
{table("Runs", ["Run", "Began", "Took", "Build", "Seed", "Ended"], rows)}
{table("Programs", ["Program", "Build", "SHA-256"], programs)}
</section>"""


def lede(report):
    counts = report.counts()
    told = ", ".join(f"{counts[verdict]} {VERDICT[verdict]}" for verdict in VERDICT if verdict in counts)
    real, broken = len([run for run in report.runs if not run.mutant]), len([run for run in report.runs if run.mutant])
    some = "run" if real == 1 else "runs"
    return (f"{real} {some} of the build under test ({text(', '.join(report.scenarios))}) and {broken or 'none'} of builds that were broken on purpose. "
            f"Of {len(report.cells)} cells, one for each outcome and each component that it is asked of: {told}. There is no overall figure, because they "
            f"do not weigh the same. A technical outcome is met only when everything about it holds, good and hostile, and broken builds were noticed.")


def frame(kind, title, over, told, contents, main):
    """The HTML text around a <main>. `contents`: (id, HTML) of what it has, the first key leads to the first of them."""
    style = (places.HERE / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    first, words = contents[0]
    return f"""<!doctype html>
<html lang="en" data-page="{kind}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{digest}'">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{marks()}
<a class="skip" href="#{first}">To {words[0].lower() + words[1:]}</a>
<header><p class="over">{over}</p>
<h1>{title}</h1><p class="lede">{told}</p></header>
<nav aria-label="Contents">{items([link(target, content) for target, content in contents], "ol")}</nav>
<main>
{main}
</main>
</body>
</html>
"""


def page(report):
    """The HTML text."""
    contents = [("not-shown", "What could not be shown"), ("outcomes", "Outcome × component"),
                *((f"scenario-{name}", f"{text(name)} <span>{text(scenario.value['title'])}</span>") for name, scenario in report.scenarios.items()),
                ("by-outcome", "Outcome by outcome"), ("evidence", "Evidence")]
    over = f"Evidence report · {text(report.began.strftime('%d %B %Y'))} · commit {code(report.commit[:12])}"
    return frame("report", "What Keystead shows, and what it does not", over, lede(report), contents, f"""{not_shown(report)}
{matrix(report)}
<section id="scenarios" aria-labelledby="head-scenarios"><h2 id="head-scenarios">Scenarios</h2>
{"".join(scenario_part(report, run) for run in report.real.values())}
</section>
<section id="by-outcome" aria-labelledby="head-by-outcome"><h2 id="head-by-outcome">Outcome by outcome</h2>
{"".join(outcome_part(report, outcome) for outcome in report.reference.outcomes)}
</section>
{runs_part(report.commit, report.runs)}""")
