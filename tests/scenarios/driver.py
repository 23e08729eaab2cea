"""Runs one scenario: the control without protection first, then the processes of the file, then its assertions one by one, each
with its evidence on the disk before the next begins."""

import importlib
import pathlib
import time
import traceback

import aftermath
import evidence
import paths  # noqa: F401
import registry
from checks import built_in
from harness import Failure, Stack, wait_until
from scenario import is_built_in, is_judged_afterwards
from wiring import Canary, Wired

CONTROL = "no_sealing"
# What a run may start besides the processes of its file: what issues and revokes, what attacks, and what judges.
STARTED = ("keystead-admin", "keystead-hostile-host", "keystead-hostile-tenant", "keystead-issue", "keystead-load", "keystead-revoke",
           "keystead-stolen-keys")


class Control:
    """The same file with the sealing switched off, as far as the search needs it: of devices that are alike, one."""

    def __init__(self, scenario, bins, say):
        with Stack(f"{scenario.id.lower()}-control", mutant=CONTROL, bins=bins) as stack:
            wired = Wired(scenario, stack, Canary(), all_alike=False)
            wired.join()
            new_readings(wired)
            self.measured = built_in.measure_unprotected(wired)
            self.found = after_control(scenario, wired)
            stack.stop()
        say(f"control: with sealing off the planted text is found in {', '.join(sorted(self.measured.readers()))}")


def after_control(scenario, wired):
    """What the scenario's own module looks at while nothing is protected; name → anything."""
    return getattr(checks_of(scenario), "control", lambda wired: {})(wired)


def checks_of(scenario):
    return importlib.import_module(f"checks.{scenario.id.lower()}")


def new_readings(wired, count=2, patience=40, without=()):
    """`count` readings of each device but these that reach their owner, or its own display, from here on."""
    marks = {name: watch.events.mark() for name, watch in wired.watches.items()}
    for name, owner in wired.products.items():
        for device in owner.devices:
            if device not in without:
                wired.watches[name].wait_readings(device, count, patience, marks[name])
    for lone in wired.alone.values():
        lone.new_shown(count, patience)


class Run:
    """What an assertion is given."""

    def __init__(self, scenario, stack, wired, control, writer, manipulations=0):
        self.scenario = scenario
        self.stack = stack
        self.wired = wired
        self.control = control
        self.seed = scenario.value["seed"]
        self.manipulations = manipulations  # at least so many on each hop that is attacked record by record
        self.fights = []  # all that were fought, whatever assertion they belong to
        self.ended_on_purpose = set()  # names of processes that an assertion killed
        self.settled = None  # what aftermath.py found, as long as nothing ran since
        self.silent = set()  # devices of which nothing comes any more, and rightly
        self._writer = writer
        self._adversaries = {}

    def adversary(self, name):
        if name not in self._adversaries:
            self._adversaries[name] = self.wired.adversary(name)
        return self._adversaries[name]

    def keep(self, name, data):
        return self._writer.keep(name, data)

    def recorded(self):
        """What the evidence says by now."""
        return evidence.Results(self._writer.path)

    def new_readings(self, count=2, patience=40, without=()):
        new_readings(self.wired, count, patience, without)

    def a_word_later(self, watch, devices, but, seconds=40):
        """Each of these devices has signed once more for what it sends: what would be confirmed with it is by now. `but`: streams that are not
        theirs."""
        mark = watch.events.mark()
        own = {device: next(entry["stream"] for entry in reversed(watch.records("readings", device)) if entry["stream"] not in but) for device in devices}

        def silent():
            confirmed = {entry["stream"] for entry in watch.events.find("confirmed", None, mark)}
            return [device for device, stream in own.items() if stream not in confirmed]
        self.within(lambda: not silent(), seconds, lambda: f"no further word of {', '.join(silent())}")

    @staticmethod
    def within(condition, seconds, observed):
        """The first true result of condition(); NotMet when there is none in time. `observed` may be a function."""
        try:
            return wait_until(condition, "it", seconds)
        except Failure:
            raise registry.NotMet(f"not within {seconds} s: {observed() if callable(observed) else observed}") from None


def conclude(assertion, result, writer):
    """Runs `result` and records what became of it; its verdict and its text."""
    try:
        observed = result()
        observed, files = observed if isinstance(observed, tuple) else (observed, [])
        writer.record(assertion, "MET", observed, "", files)
        return "MET", observed
    except registry.NotMet as error:
        writer.record(assertion, "NOT_MET", error.observed, f"expected otherwise: {assertion['expected']}", error.files)
        return "NOT_MET", error.observed
    except registry.CannotRun as error:
        writer.record(assertion, "NOT_RUN", "", str(error))
        return "NOT_RUN", str(error)
    except Exception as error:  # whatever breaks in an assertion says nothing about the product
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({pathlib.Path(where.filename).name}:{where.lineno})"
        writer.record(assertion, "ERROR", "", reason)
        return "ERROR", reason


def answer_of(assertion, function, run):
    """Of a negative one with what came after it, of a positive one what it says, of either when it has restored what it stopped; of the last two, after
    which nothing is as it was, just what it says."""
    if is_judged_afterwards(assertion):
        return aftermath.judged(assertion, function, run)
    run.settled = None
    return function(run) if is_built_in(assertion) else aftermath.restoring(function, run)


def not_running(assertion, writer):
    """Records an assertion that says itself why it does not run."""
    if "not_run" in assertion:
        verdict, reason = "NOT_RUN", assertion["not_run"]
    elif "not_testable_here" in assertion:
        verdict, reason = "NOT_TESTABLE_HERE", "{reason}; it would need {needs}".format(**assertion["not_testable_here"])
    else:
        verdict, reason = "NOT_APPLICABLE", "rule: {rule}; here: {inputs}; {reason}".format(**assertion["not_applicable"])
    writer.record(assertion, verdict, "", reason)
    return verdict, reason


def play(scenario, writer, bins, control_bins, mutant=None, keep=False, say=lambda text: None, tell=lambda *verdict: None, manipulations=0):
    """Runs it; (assertion id → (verdict, text), where the run's files were kept). `tell` hears each verdict as it falls;
    `manipulations`: at least so many on each hop that is attacked record by record."""
    results = {}

    def take(assertion, verdict):
        results[assertion["id"]] = verdict
        tell(assertion, *verdict)
    for assertion in scenario.assertions:
        if assertion not in scenario.runnable():
            take(assertion, not_running(assertion, writer))
    folder = None
    try:
        control = Control(scenario, control_bins, say)
        with Stack(scenario.id.lower(), keep=keep, mutant=mutant, bins=bins) as stack:
            folder = stack.folder if keep else None
            wired = Wired(scenario, stack, Canary(), say).join()
            run = Run(scenario, stack, wired, control, writer, manipulations)
            for assertion in sorted(scenario.runnable(), key=lambda one: one["id"].endswith(".end")):
                function = registry.FUNCTIONS[assertion["id"]]
                started = time.monotonic()
                take(assertion, conclude(assertion, lambda function=function, assertion=assertion: answer_of(assertion, function, run), writer))
                say(f"{assertion['id']} took {time.monotonic() - started:.0f} s")
    except Exception as error:  # nobody could join, say: then no assertion ran, and each of them says why
        for assertion in scenario.runnable():
            if assertion["id"] not in results:
                reason = f"the scenario could not be set up: {type(error).__name__}: {error}"
                writer.record(assertion, "ERROR", "", reason)
                take(assertion, ("ERROR", reason))
    return results, folder


def as_expected(scenario, results, mutant):
    """(whether, why not): nothing fails; on a mutant exactly what the file names for it fails."""
    failed = {name for name, (verdict, _) in results.items() if verdict == "NOT_MET"}
    wanted = set(scenario.mutants[mutant]["fails"]) if mutant else set()
    wrong = [f"{name} is ERROR: {text}" for name, (verdict, text) in results.items() if verdict == "ERROR"]
    wrong += [f"{name} failed" for name in sorted(failed - wanted)]
    wrong += [f"{name} did not fail, although {mutant} was on" for name in sorted(wanted - failed)]
    wrong += [f"{one['id']} has no verdict" for one in scenario.runnable() if one["id"] not in results]
    return not wrong, wrong


def check_registered(scenario):
    """Everything that should run has a function, and the other way round."""
    checks_of(scenario)
    without, unused = registry.missing(scenario)
    if without or unused:
        raise ValueError(f"{scenario.id}: no function for {without or 'none'}; functions without an assertion: {unused or 'none'}")


def programs_in(bins, scenario):
    """Those of a build that a run may start. Of the ones that are no processes some may not be built: who wants them then fails."""
    return [process["program"] for process in scenario.processes.values()] + [name for name in STARTED if (pathlib.Path(bins) / name).exists()]


def identity(scenario, bins, control_bins, root, mutant):
    """(what every line carries, program → SHA-256, the same of the control's programs)."""
    build, digests = evidence.build_of(bins, programs_in(bins, scenario))
    control = evidence.build_of(control_bins, programs_in(control_bins, scenario))[1]
    return {"build": build, "commit": evidence.commit_of(root), "seed": scenario.value["seed"], "mutant": mutant or ""}, digests, control
