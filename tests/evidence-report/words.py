"""Escaping, and how verdicts are called. Every text of a page goes through `text`: evidence may hold what an attacker wrote."""

import html
import re

VERDICT = {"MET": "met", "PARTIAL": "partly", "NOT_MET": "not met", "ERROR": "error", "NOT_RUN": "not run", "NOT_TESTABLE_HERE": "not testable here",
           "NOT_APPLICABLE": "not applicable"}
MEANING = {
    "MET": "all positive and negative assertions hold on this build, and builds broken on purpose were noticed",
    "PARTIAL": "some hold; what is missing is listed with its reason",
    "NOT_MET": "an assertion failed",
    "ERROR": "the set-up failed; says nothing of the product",
    "NOT_RUN": "nothing ran that could show it",
    "NOT_TESTABLE_HERE": "a simulator cannot show it",
    "NOT_APPLICABLE": "does not apply, by a rule that is printed",
}
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")


def plain(value):
    """Without characters that one does not see or that turn the direction of what follows; each stands as its number."""
    return UNSEEN.sub(lambda found: f"\\u{ord(found.group(0)):04x}", str(value))


def text(value):
    return html.escape(plain(value), quote=True)


def badge(verdict, short=False):
    """The mark with its word; the word is only heard where `short`."""
    word = f'<span class="word">{VERDICT[verdict]}</span>'
    return (f'<span class="badge{" short" if short else ""}" data-verdict="{verdict}"><svg aria-hidden="true" width="16" height="16">'
            f'<use href="#mark-{verdict}"/></svg>{word}</span>')


def items(values, kind="ul", attributes=""):
    """`values` are HTML already."""
    return f"<{kind}{attributes}>" + "".join(f"<li>{value}</li>" for value in values) + f"</{kind}>" if values else ""


def link(target, content):
    return f'<a href="#{text(target)}">{content}</a>'


def said(value):
    """What evidence says: it may be one word as long as it likes."""
    return f'<span class="said">{text(value)}</span>'


def code(value):
    return f"<code>{text(value)}</code>"


def table(caption, heads, rows, kind=""):
    """`heads` plain, `rows` of HTML, the first of each is the row's head. In a region of its own that can be scrolled by keyboard."""
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in heads)
    body = "".join("<tr>" + f'<th scope="row">{row[0]}</th>' + "".join(f"<td>{cell}</td>" for cell in row[1:]) + "</tr>" for row in rows)
    return (f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}"><table class="{kind}"><caption>{text(caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


MARKS = {
    "MET": '<circle cx="8" cy="8" r="7" fill="currentColor"/><path d="M4.5 8.2l2.4 2.4 4.6-5" class="cut"/>',
    "PARTIAL": '<circle cx="8" cy="8" r="6.2" class="line"/><path d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" fill="currentColor"/>',
    "NOT_MET": '<path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" fill="currentColor"/><path d="M5.2 5.2l5.6 5.6m0-5.6l-5.6 5.6" class="cut"/>',
    "ERROR": '<path d="M8 1l7.4 13.6H.6z" fill="currentColor"/><path d="M8 6v4m0 1.6v1" class="cut"/>',
    "NOT_RUN": '<circle cx="8" cy="8" r="6.2" class="line" stroke-dasharray="2.4 2.5"/>',
    "NOT_TESTABLE_HERE": '<circle cx="8" cy="8" r="6.2" class="line"/><path d="M6 6.2a2 2 0 1 1 2.6 1.9c-.4.2-.6.5-.6 1v.4m0 1.5v.9" class="line"/>',
    "NOT_APPLICABLE": '<path d="M3 8h10" class="line"/>',
}


def marks():
    symbols = "".join(f'<symbol id="mark-{name}" viewBox="0 0 16 16">{shape}</symbol>' for name, shape in MARKS.items())
    return f'<svg class="sprite" width="0" height="0" aria-hidden="true">{symbols}</svg>'
