"""Debian's Prometheus in a Stack: scrapes what it is told, on loopback, and answers queries; or one that runs elsewhere, asked."""

import json
import pathlib
import subprocess
import urllib.parse
import urllib.request

import harness
from harness import Failure, dies_with_parent, wait_until

DOCS = harness.ROOT / "docs"
RULES = DOCS / "prometheus" / "alerts.yml"
SCRAPE_SECONDS = 0.5
FAMILY_SUFFIXES = ("_bucket", "_sum", "_count")


def get(url, patience=10):
    with urllib.request.urlopen(url, timeout=patience) as answer:
        return answer.read().decode()


def listening(pid):
    """[(address, port)] at which a process listens, as the kernel writes them: 0100007F is 127.0.0.1."""
    sockets = set()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(str(entry.readlink()))
        except OSError:
            continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                address, port = fields[1].split(":")
                found.append((address, int(port, 16)))
    return found


def parse(text):
    """The families of an exposition: name → {"help", "type", "samples": [(labels text, value)]}."""
    families = {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, _, words = line[7:].partition(" ")
            families.setdefault(name, {"samples": []})["help"] = words
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            families.setdefault(name, {"samples": []})["type"] = kind
        elif line:
            series, value = line.rsplit(" ", 1)
            name, _, labels = series.partition("{")
            base = name
            for suffix in FAMILY_SUFFIXES:
                if name not in families and name.endswith(suffix):
                    base = name[:-len(suffix)]
            families[base]["samples"].append((name[len(base):] + "{" + labels, float(value)))
    return families


class Api:
    """What a Prometheus at HOST:PORT answers."""

    def __init__(self, host):
        self.host = host

    def api(self, path, **fields):
        answer = json.loads(get(f"http://{self.host}/api/v1/{path}?{urllib.parse.urlencode(fields, doseq=True)}"))
        if answer["status"] != "success":
            raise Failure(f"{path} {fields}: {answer}")
        return answer["data"]

    def query(self, expression):
        """[(labels, number)] at this moment."""
        return [(one["metric"], float(one["value"][1])) for one in self.api("query", query=expression)["result"]]

    def number(self, expression):
        """The one number of a query; None while there is none."""
        found = self.query(expression)
        if len(found) > 1:
            raise Failure(f"{expression} has {len(found)} answers")
        return found[0][1] if found else None

    def wait_for(self, expression, predicate, what=None, patience=None):
        """The first answer of one number that satisfies the predicate."""
        seen = []

        def look():
            number = self.number(expression)
            seen[:] = [number]
            return number is not None and predicate(number)
        wait_until(look, lambda: f"{what or expression}; last {seen}", patience)
        return seen[0]


class Prometheus(Api):
    def __init__(self, stack, targets):
        """`targets`: job → [process of the stack that serves metrics]."""
        super().__init__(None)
        folder = pathlib.Path(stack.path("prometheus"))
        folder.mkdir()
        jobs = "".join(
            f"  - job_name: {job}\n    static_configs:\n" + "".join(
                f"      - targets: ['{process.address('metrics')}']\n        labels: {{name: {process.name}}}\n" for process in processes)
            for job, processes in targets.items())
        config = folder / "prometheus.yml"
        config.write_text(f"global:\n  scrape_interval: {int(SCRAPE_SECONDS * 1000)}ms\n  evaluation_interval: 1s\n"
                          f"rule_files:\n  - {RULES}\nscrape_configs:\n{jobs}")
        with open(folder / "log", "wb") as log:
            self.popen = subprocess.Popen(
                dies_with_parent(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
                                  "--web.listen-address=127.0.0.1:0", "--log.level=warn"]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
        self.log = folder / "log"
        stack.on_close(self.close)
        wait_until(self._ready, lambda: f"Prometheus to be ready\n{self.log.read_text(errors='replace')}", 60)

    def _ready(self):
        if self.popen.poll() is not None:
            raise Failure(f"Prometheus ended with {self.popen.returncode}\n{self.log.read_text(errors='replace')}")
        found = listening(self.popen.pid)
        if not found:
            return False
        self.host = f"127.0.0.1:{found[0][1]}"
        try:
            return "Ready" in get(f"http://{self.host}/-/ready")
        except OSError:
            return False

    def close(self):
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(20)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
