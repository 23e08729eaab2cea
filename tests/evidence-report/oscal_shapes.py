"""What all our OSCAL documents are made of: identifiers, properties, and texts as OSCAL wants them."""

import re
import uuid

import places  # noqa: F401
from words import plain

VERSION = "1.1.2"
NAMESPACE = "https://keystead.example/ns/oscal"
OWN = uuid.uuid5(uuid.NAMESPACE_URL, NAMESPACE)


def uid(*names):
    """The same for the same names, in every run and on every machine."""
    return str(uuid.uuid5(OWN, "\n".join(names)))


def line(value):
    """A text in one line, without spaces around it: what OSCAL calls a string or a line of markup."""
    return re.sub(r"\s+", " ", plain(value)).strip()


def prop(name, value, own=True):
    made = {"name": name, "value": line(value)}
    return {"name": name, "ns": NAMESPACE, "value": made["value"]} if own else made


def finish(value):
    """Without what is empty: OSCAL has no empty lists and no empty texts. {} stays, which include-all is."""
    if isinstance(value, dict):
        kept = {key: finish(one) for key, one in value.items()}
        return {key: one for key, one in kept.items() if one not in ("", [], None)}
    if isinstance(value, list):
        return [finish(one) for one in value]
    return value
