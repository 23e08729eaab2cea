"""What every scenario asserts: that the boundary holds as measured, and that everybody ends in order."""

import concurrent.futures
import multiprocessing
import os

import boundary
import scenario as scenarios
from registry import assertion, expect

SCENARIOS = [path.stem for path in scenarios.all_files()]


def blind(scenario):
    """Who cannot show the text even where nothing is sealed: a relay, around whose records others' TLS lies, a spare that
    nothing passes yet, and a stranger, to whom nobody answers."""
    return {name for name, process in scenario.processes.items()
            if process.get("form") == "relay" or process.get("spare") or process.get("stranger")}


def measure(wired):
    """B6 at every place that must not read, and in the owners' apps and devices alone, in whose memory the search has to find the text."""
    return look_at_all(wired, lambda name: True)


def measure_unprotected(wired):
    """The same where nothing is sealed. Whoever keeps records on a disk shows them there; that memory is searched well is seen at
    the apps and at equipment, which has no disk."""
    return look_at_all(wired, lambda name: wired.state_of(name) is None)


def look_at_all(wired, with_memory):
    """A Measurement, by as many processes as there are cores: a search is work for one. Where only a parent may look into its children, by this one."""
    measured = boundary.Measurement()
    names = [*boundary.must_not_read(wired.scenario.processes), *wired.readers()]
    if os.geteuid() != 0:
        for name in names:
            measured.add(name, *wired.look_for_canary(name, with_memory(name)))
        return measured
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("fork"), _Looking.begin, (wired,)) as beside:
        for name, (searched, hits) in zip(names, beside.map(_Looking.at, names, map(with_memory, names))):
            measured.add(name, searched, hits)
    return measured


class _Looking:
    """In a process beside, which was given all that there is by being forked."""
    wired = None

    @classmethod
    def begin(cls, wired):
        cls.wired = wired

    @classmethod
    def at(cls, name, memory):
        return cls.wired.look_for_canary(name, memory)


@assertion(*(f"{scenario}.B6" for scenario in SCENARIOS))
def nobody_reads_who_must_not(run):
    processes = run.scenario.processes
    measured = measure(run.wired)
    record = {name: {"bytes": measured.looked[name], "hits": sorted(map(str, measured.hits[name])),
                     "hits_with_the_protection_off": sorted(map(str, run.control.measured.hits.get(name, ())))} for name in measured.looked}
    file = run.keep("searched.json", record)
    wrong = boundary.judge(processes, measured, run.control.measured, blind(run.scenario))
    readers = measured.readers() & {name for name, process in processes.items() if process["application_layer_access"]}
    expect(readers, "the search does not find the text in any process that measures or shows it", [file])
    expect(not wrong, "; ".join(wrong), [file])
    places = boundary.must_not_read(processes)
    searched = sum(measured.looked[name] for name in places) / 1e6
    return (f"nothing in {searched:.0f} MB of {', '.join(places)}; found in {', '.join(sorted(readers))}; with sealing off also in "
            f"{', '.join(sorted(run.control.measured.readers() & set(places))) or 'none of them, which are blind then too'}"), [file]


@assertion(*(f"{scenario}.end" for scenario in SCENARIOS))
def everybody_ends(run):
    stubborn = run.wired.end()
    codes = {name: process.popen.returncode for name, process in run.stack.processes.items() if not name.startswith("send-")}
    bad = {name: code for name, code in codes.items() if code != 0 and name not in run.ended_on_purpose}
    expect(not stubborn and not bad, f"had to be killed: {stubborn}; other exit codes: {bad}")
    return f"{len(codes)} processes ended, all with exit code 0"
