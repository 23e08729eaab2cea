"""What two walls between tenants cost on the path: each is taken out of the backend alone, in one build, in turns."""

import statistics

from bench_path import ROOT, Path
from harness import Stack

# The build in which a protection can be switched off; devices, gateway and app run with all of theirs.
BINS = ROOT / "build/mutants/bin"
BACKENDS = {"with both": None, "without encryption at rest": "no_sealing", "without the fair queue": "fair_queue_off"}
CASES = {"batches of 64": (4, ["--batch", 64]), "unbatched, 16 devices": (16, ["--batch", 1])}
ROUNDS = 3  # each backend once in each


def measure_once(mutant, devices, load, seconds):
    with Stack("bench-walls") as stack:
        stack.bins = BINS
        path = Path(stack, devices, env={"KEYSTEAD_MUTANT": mutant} if mutant else None)
        return path.measure("load", seconds, *load)


def measure_walls(seconds):
    """Per case and backend: all rates, and the backend's CPU; prints medians and their ratios to the backend with both."""
    found = {}
    for case, (devices, load) in CASES.items():
        runs = {name: [] for name in BACKENDS}
        for _ in range(ROUNDS):
            for name, mutant in BACKENDS.items():
                runs[name].append(measure_once(mutant, devices, load, seconds))
        found[case] = {name: {"readings_per_second": [run["readings_per_second"] for run in of],
                              "backend_cpu_us": [run["cpu_us_per_reading"]["backend"] for run in of]}
                       for name, of in runs.items()}
        middle = {name: {key: statistics.median(values) for key, values in of.items()} for name, of in found[case].items()}
        both = middle["with both"]
        for name, of in middle.items():
            print(f"   {case}, {name}: {of['readings_per_second']:,.0f} readings/s (× "
                  f"{of['readings_per_second'] / both['readings_per_second']:.2f})  backend {of['backend_cpu_us']:.2f} µs CPU "
                  f"a reading (× {of['backend_cpu_us'] / both['backend_cpu_us']:.2f})", flush=True)
    return found
