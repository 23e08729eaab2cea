"""What metrics cost on the path: the same programs with and without them, in turns. Where they are on, all four processes are
scraped once a second, which is fifteen times as often as Prometheus would."""

import statistics
import threading
import time

from bench_path import Path
from harness import Failure, Stack
from prometheus import get, listening

CASES = {"batches of 64": (4, ["--batch", 64]), "unbatched, 16 devices": (16, ["--batch", 1])}
ROUNDS = 5  # each form once in each
SCRAPE_SECONDS = 1
PROGRAMS = ("BACKEND", "GATEWAY", "DEVICE", "MOBILE")


class Scraper:
    """Asks every process of a stack that serves metrics, as long as it is open."""

    def __init__(self, stack):
        self.stack = stack
        self.scrapes = 0
        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(SCRAPE_SECONDS):
            for process in list(self.stack.processes.values()):
                if process.ended():
                    continue
                try:
                    text = get(f"http://127.0.0.1:{metrics_port(process)}/metrics")
                except (OSError, Failure, StopIteration):
                    continue  # it starts, or ends
                self.scrapes += 1
                self.bytes += len(text)


def metrics_port(process):
    """Devices and apps announce no ports here, and listen at no other."""
    if process._ports_file is not None:  # pylint: disable=protected-access
        return process.port("metrics")
    return next(port for _, port in listening(process.popen.pid))


def measure_once(on, devices, load, seconds):
    with Stack("bench-metrics") as stack:
        if not on:
            return Path(stack, devices).measure("load", seconds, *load)
        for program in PROGRAMS:
            stack.env[f"KEYSTEAD_{program}_METRICS_LISTEN"] = "127.0.0.1:0"
        with Scraper(stack) as scraper:
            path = Path(stack, devices)
            scraper.scrapes = scraper.bytes = 0
            begun = time.monotonic()
            figures = path.measure("load", seconds, *load)
        if scraper.scrapes < 2 * (time.monotonic() - begun) / SCRAPE_SECONDS:
            raise Failure(f"only {scraper.scrapes} scrapes: this measures nothing")
        figures["bytes_per_scrape"] = scraper.bytes / scraper.scrapes
        return figures


def measure_metrics(seconds):
    """Per case: all rates and costs with metrics off and on; prints medians, their ratio, and how far rounds lie apart."""
    found = {}
    for case, (devices, load) in CASES.items():
        runs = {False: [], True: []}
        for number in range(ROUNDS):
            for on in ((False, True) if number % 2 == 0 else (True, False)):  # neither is always the later
                runs[on].append(measure_once(on, devices, load, seconds))
        rates = {on: [run["readings_per_second"] for run in of] for on, of in runs.items()}
        costs = {on: [sum(run["cpu_us_per_reading"].values()) for run in of] for on, of in runs.items()}
        ratios = [on / off for off, on in zip(rates[False], rates[True])]
        found[case] = {"off": rates[False], "on": rates[True], "cpu_us_off": costs[False], "cpu_us_on": costs[True],
                       "ratio": statistics.median(rates[True]) / statistics.median(rates[False]), "ratios_of_rounds": ratios,
                       "cpu_ratio": statistics.median(costs[True]) / statistics.median(costs[False]),
                       "bytes_per_scrape": statistics.median(run["bytes_per_scrape"] for run in runs[True])}
        print(f"   {case}: off {statistics.median(rates[False]):,.0f}, on {statistics.median(rates[True]):,.0f} readings/s: "
              f"× {found[case]['ratio']:.3f} (rounds × {min(ratios):.3f} to {max(ratios):.3f}; off alone differs by × "
              f"{max(rates[False]) / min(rates[False]):.3f})  CPU a reading × {found[case]['cpu_ratio']:.3f}  "
              f"{found[case]['bytes_per_scrape']:,.0f} bytes a scrape", flush=True)
    return found
