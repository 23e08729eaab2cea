"""The page of one run on a build that was broken on purpose. It judges assertions and no outcome: what holds or fails on such a build
is nothing that the product does."""

import places  # noqa: F401
import page as pages
import verdicts
from scenario_part import adversaries, assertion_section, figure, unshown
from words import badge, code, items, link, said, table, text


def wanted(run, assertion):
    """What the scenario's file says of an assertion on this build."""
    return "fail" if assertion["id"] in run.scenario.mutants[run.mutant]["fails"] else "hold"


def result(run):
    judged = verdicts.judge_mutant(run.scenario, run.mutant, [run])
    return f"It was noticed: {text(judged.why)}." if judged.state == "killed" else f"It was not noticed as it had to be: {text(judged.why)}."


def came_out(run):
    rows = []
    for assertion in run.scenario.assertions:
        name, entry = assertion["id"], run.entry(assertion["id"])
        had_to = wanted(run, assertion) if assertion in run.scenario.runnable() else "–"
        rows.append([link(name, text(name)), badge(run.verdicts()[name]), had_to, text(assertion["says"]), said(entry["observed"] or entry["reason"])])
    return table("What came out on the broken build", ["Assertion", "Verdict", "Had to", "It says", "Observed"], rows)


def assertion_part(run, assertion):
    if assertion not in run.scenario.runnable():
        return assertion_section(run, assertion, [])
    again = code(f"scripts/scenario run {run.scenario.id} --mutant {run.mutant} --keep")
    return assertion_section(run, assertion, [("On this build", f"it had to {wanted(run, assertion)}. Again, with all logs and stores kept: {again}")])


def page(run):
    """The HTML text."""
    scenario, name = run.scenario, text(run.scenario.id)
    title = f"{name} on a build broken on purpose: {text(run.mutant)}"
    over = f"Run on a broken build · {text(run.began.strftime('%d %B %Y'))} · commit {code(run.commit[:12])}"
    told = (f"What ran here was broken on purpose: {text(scenario.mutants[run.mutant]['because'])}. No verdict on this page is one of the product: "
            f"it shows whether the assertions of {name} can fail. {result(run)}")
    contents = [("came-out", "What came out"), ("deployment", "The deployment"), ("assertions", "Assertions"), ("evidence", "Evidence")]
    return pages.frame("mutant", title, over, told, contents, f"""
<section id="came-out" aria-labelledby="head-came-out"><h2 id="head-came-out">What came out</h2>
{came_out(run)}
</section>
<section id="deployment" aria-labelledby="head-deployment"><h2 id="head-deployment">{text(scenario.value["title"])}</h2>
<p>{text(scenario.value["about"].strip())}</p>
{figure(scenario)}
<h3>Adversaries</h3>{items(adversaries(scenario))}
<h3>What {name} does not show, on any build</h3>{items(unshown(scenario))}
</section>
<section id="assertions" aria-labelledby="head-assertions"><h2 id="head-assertions">Assertions</h2>
{"".join(assertion_part(run, assertion) for assertion in scenario.assertions)}
</section>
{pages.runs_part(run.commit, [run])}""")
