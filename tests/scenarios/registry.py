"""Assertions by id: the functions that a scenario's file names. One module of checks per scenario registers them."""

FUNCTIONS = {}


class NotMet(Exception):
    """The product did not do what the assertion expects; `observed` says what it did instead."""

    def __init__(self, observed, files=()):
        super().__init__(observed)
        self.observed = observed
        self.files = list(files)


class CannotRun(Exception):
    """This machine lacks what the assertion needs: it stays NOT_RUN, with this reason."""


def assertion(*names):
    """Registers a function of a Run, which returns what it observed (a text, or a text and evidence files), or raises NotMet."""
    def register(function):
        for name in names:
            if name in FUNCTIONS:
                raise ValueError(f"two functions for {name}")
            FUNCTIONS[name] = function
        return function
    return register


def expect(condition, observed, files=()):
    if not condition:
        raise NotMet(observed, files)


def missing(scenario):
    """Assertions of a scenario that should run and have no function, and functions of it that no assertion names."""
    wanted = {one["id"] for one in scenario.runnable()}
    known = {name for name in FUNCTIONS if name.startswith(scenario.id + ".")}
    return sorted(wanted - known), sorted(known - wanted)
