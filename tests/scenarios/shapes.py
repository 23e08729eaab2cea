"""Shapes that a YAML file must have. What is wrong is said with file and line, all of it at once; unknown and repeated keys are
wrong too. Knows nothing of scenarios."""

import re

import yaml


class SchemaError(Exception):
    """`problems`: (line, text), in the order of the file."""

    def __init__(self, path, problems):
        self.path = path
        self.problems = sorted(problems)
        super().__init__("\n".join(f"{path}:{line}: {text}" for line, text in self.problems))


class Reading:
    """One file being read: what is wrong so far, and in which line each value stands."""

    def __init__(self, path):
        self.path = path
        self.problems = []
        self.lines = {}  # path of keys → line

    def wrong(self, line, text):
        self.problems.append((line, text))

    def wrong_at(self, where, text):
        """`where`: the keys that lead there; of what is missing, the line of the nearest above it."""
        where = tuple(where)
        while where and where not in self.lines:
            where = where[:-1]
        self.wrong(self.lines.get(where, 1), text)


def line_of(node):
    return node.start_mark.line + 1


def name_of(where):
    return ".".join(map(str, where)) or "the file"


class Text:
    def __init__(self, *choices, pattern=None):
        self.choices = choices
        self.pattern = pattern

    def wanted(self):
        if self.choices:
            return "one of " + ", ".join(self.choices)
        return f"a text like {self.pattern}" if self.pattern else "a text that is not empty"

    def read(self, node, where, reading):
        value = node.value if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str" else None
        good = value is not None and value.strip() != "" and (not self.choices or value in self.choices) and \
            (self.pattern is None or re.fullmatch(self.pattern, value))
        if not good:
            shown = value if value is not None else f"a {node.id}"
            reading.wrong(line_of(node), f"{name_of(where)} is {shown!r}: wanted {self.wanted()}")
        return value


class Flag:
    def read(self, node, where, reading):
        if node.tag != "tag:yaml.org,2002:bool":
            reading.wrong(line_of(node), f"{name_of(where)}: wanted true or false")
            return False
        return node.value.lower() in ("true", "yes", "on")


class Number:
    def __init__(self, least, most):
        self.least, self.most = least, most

    def read(self, node, where, reading):
        try:
            value = float(node.value) if node.tag.endswith((":int", ":float")) else None
        except (TypeError, ValueError):
            value = None
        if value is None or not self.least <= value <= self.most:
            reading.wrong(line_of(node), f"{name_of(where)}: wanted a number from {self.least} to {self.most}")
            return self.least
        return int(value) if value == int(value) else value


class ListOf:
    def __init__(self, shape, at_least=0):
        self.shape, self.at_least = shape, at_least

    def read(self, node, where, reading):
        if not isinstance(node, yaml.SequenceNode):
            reading.wrong(line_of(node), f"{name_of(where)}: wanted a list")
            return []
        if len(node.value) < self.at_least:
            reading.wrong(line_of(node), f"{name_of(where)}: wanted at least {self.at_least} of them")
        return [read(self.shape, item, (*where, at), reading) for at, item in enumerate(node.value)]


def entries(node, where, reading):
    """(key, its node) of a mapping; a key that comes twice is wrong."""
    if not isinstance(node, yaml.MappingNode):
        reading.wrong(line_of(node), f"{name_of(where)}: wanted keys with values")
        return
    seen = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            reading.wrong(line_of(key), f"{name_of(where)}: wanted a plain word as key")
        elif key.value in seen:
            reading.wrong(line_of(key), f"{name_of((*where, key.value))} stands there twice")
        else:
            seen.add(key.value)
            reading.lines[(*where, key.value)] = line_of(key)
            yield key, value


class MapOf:
    """Names of one's own → a shape."""

    def __init__(self, shape, key=r"[A-Za-z0-9][A-Za-z0-9_.-]*", at_least=0):
        self.shape, self.key, self.at_least = shape, key, at_least

    def read(self, node, where, reading):
        found = {}
        for key, value in entries(node, where, reading):
            if not re.fullmatch(self.key, key.value):
                reading.wrong(line_of(key), f"{name_of((*where, key.value))}: wanted a name like {self.key}")
            found[key.value] = read(self.shape, value, (*where, key.value), reading)
        if len(found) < self.at_least:
            reading.wrong(line_of(node), f"{name_of(where)}: wanted at least {self.at_least} of them")
        return found


class Record:
    """Keys that are known, each with a shape of its own."""

    def __init__(self, required, optional=()):
        self.required = required
        self.optional = dict(optional)

    def read(self, node, where, reading):
        known = {**self.required, **self.optional}
        found = {}
        for key, value in entries(node, where, reading):
            if key.value not in known:
                reading.wrong(line_of(key), f"{name_of((*where, key.value))} is not known; known are {', '.join(known)}")
                continue
            found[key.value] = read(known[key.value], value, (*where, key.value), reading)
        for key in self.required:
            if key not in found and isinstance(node, yaml.MappingNode):
                reading.wrong(line_of(node), f"{name_of(where)} says nothing of {key}")
        return found


def read(shape, node, where, reading):
    reading.lines.setdefault(tuple(where), line_of(node))
    return shape.read(node, where, reading)


def load(path, shape):
    """(value, its Reading) of a YAML file; SchemaError when it is not YAML or has another shape."""
    reading = Reading(path)
    try:
        with open(path, encoding="utf-8") as file:
            node = yaml.compose(file, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise SchemaError(path, [(error.problem_mark.line + 1 if error.problem_mark else 1, f"not YAML: {error.problem}")]) from error
    if node is None:
        raise SchemaError(path, [(1, "the file is empty")])
    value = read(shape, node, (), reading)
    return value, reading


def done(reading):
    if reading.problems:
        raise SchemaError(reading.path, reading.problems)
