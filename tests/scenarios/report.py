"""What a run tells on the terminal, and as JUnit XML."""

import textwrap
import xml.etree.ElementTree as xml

from scenario import LAYERS

WIDTH = 118
MARK = {"MET": "met", "PARTIAL": "PARTIAL", "NOT_MET": "NOT MET", "NOT_APPLICABLE": "not applicable", "NOT_TESTABLE_HERE": "not testable here",
        "ERROR": "ERROR", "NOT_RUN": "not run"}


def wrapped(first, text, indent):
    return "\n".join(textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * indent, break_long_words=False,
                                   break_on_hyphens=False) or [first])


def verdict_line(assertion, verdict, text):
    return wrapped(f"   {MARK[verdict]:17}  {assertion['id']}: ", f"{assertion['says']}. {text}", 22)


def table(heads, rows):
    widths = [max(len(str(row[at])) for row in [heads, *rows]) for at in range(len(heads))]
    return "\n".join("   " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [heads, *rows])


def summary(scenario, results):
    """The table of all assertions, what is not shown, and who answers for what."""
    rows = []
    for assertion in scenario.assertions:
        verdict, _ = results.get(assertion["id"], ("NOT_RUN", ""))
        cells = ", ".join(f"{outcome} {'+'.join(components)}" for outcome, components in assertion["outcomes"].items())
        rows.append((assertion["id"], MARK[verdict], assertion["polarity"], cells))
    parts = ["", table(("assertion", "verdict", "polarity", "outcomes and components"), rows), "", "What this does not show"]
    parts += [wrapped("   - ", text, 5) for text in scenario.value["not_shown"]]
    for assertion in scenario.assertions:
        verdict, text = results.get(assertion["id"], ("NOT_RUN", "the run did not come to it"))
        if verdict in ("NOT_RUN", "NOT_TESTABLE_HERE", "NOT_APPLICABLE"):
            parts.append(wrapped("   - ", f"{assertion['id']} ({MARK[verdict]}): {assertion['says']}: {text}", 5))
    parts += ["", "Who is responsible (Figure 3 of the handbook)", responsibilities(scenario)]
    return "\n".join(parts)


def responsibilities(scenario):
    roles = scenario.value["roles"]
    rows = [(name, "in product" if process["in_product"] else "infrastructure", process["managed"],
             *(f"{process['responsible'][layer]} ({roles[process['responsible'][layer]]['plays']})" for layer in LAYERS))
            for name, process in scenario.processes.items()]
    return table(("process", "boundary", "managed", *LAYERS), rows)


def junit(scenario, results, seconds, path, mutant, wrong):
    """One test case per assertion. On a mutant a named assertion that fails is a pass, and JUnit is told so in its output."""
    suite = xml.Element("testsuite", name=f"scenario.{scenario.id}" + (f".{mutant}" if mutant else ""), tests=str(len(scenario.assertions)),
                        time=f"{seconds:.1f}")
    count = {"failures": 0, "errors": 0, "skipped": 0}
    wanted = set(scenario.mutants[mutant]["fails"]) if mutant else set()
    for assertion in scenario.assertions:
        verdict, text = results.get(assertion["id"], ("NOT_RUN", "the run did not come to it"))
        case = xml.SubElement(suite, "testcase", classname=f"scenario.{scenario.id}", name=f"{assertion['id']} {assertion['says']}")
        text = "".join(char for char in text if char >= " " or char in "\n\t")
        if verdict == "ERROR":
            xml.SubElement(case, "error", message=verdict).text = text
            count["errors"] += 1
        elif (verdict == "NOT_MET") != (assertion["id"] in wanted):
            xml.SubElement(case, "failure", message=verdict if verdict == "NOT_MET" else f"{verdict} although {mutant} was on").text = text
            count["failures"] += 1
        elif verdict in ("NOT_RUN", "NOT_APPLICABLE", "NOT_TESTABLE_HERE"):
            xml.SubElement(case, "skipped", message=f"{verdict}: {text}")
            count["skipped"] += 1
        else:
            xml.SubElement(case, "system-out").text = text
    for key, value in count.items():
        suite.set(key, str(value))
    if wrong:
        xml.SubElement(suite, "system-err").text = "\n".join(wrong)
    xml.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
