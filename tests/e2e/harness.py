"""Real processes for tests and for the demonstration: started with ports of their own, watched through their JSON
logs, and ended however the caller ends.

    with Stack("data-path") as stack:
        backend = stack.start("backend", "keystead-backend", "--data", stack.path("backend"), …)
        backend.port("transport")
        backend.log.wait_for("ready")

Nothing here sleeps for a fixed time: every wait is for an event and has a deadline. Standard library only.
"""

import atexit
import bisect
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
POLL = 0.01  # seconds between two looks at what is waited for
PATIENCE = float(os.environ.get("KEYSTEAD_E2E_PATIENCE", "20"))  # seconds until a wait without a deadline of its own fails

_open_stacks = []


class Failure(AssertionError):
    """Something awaited did not happen; the message says what, and what was seen instead."""


def bin_dir():
    return pathlib.Path(os.environ.get("KEYSTEAD_BIN_DIR", ROOT / "build/dev/bin")).resolve()


def wait_until(condition, what, patience=None):
    """Returns the first true result of condition(); Failure once the patience is over. `what` may be a function."""
    deadline = time.monotonic() + (PATIENCE if patience is None else patience)
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Failure(f"waited in vain for {what() if callable(what) else what}")
        time.sleep(POLL)


def dies_with_parent(command):
    """The command such that the kernel ends it when whoever started it is gone, even by SIGKILL. It keeps its process id.
    (Not by code of ours between fork and exec: that forbids vfork, and copying the page tables of this program is dear.)"""
    return ["setpriv", "--pdeathsig", "KILL", *map(str, command)]


class JsonLog:
    """The lines of a growing JSON log, read as they come. A line that is not whole yet is left for later.

    Logs grow to many thousands of lines and are looked at a hundred times a second: each line is parsed once, found by its
    event, and tested once by a wait."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.entries = []
        self._by_event = {}  # event → ([where among all], [the entry])
        self._offset = 0
        self._rest = b""

    def read(self):
        """All entries so far."""
        try:
            if os.stat(self.path).st_size == self._offset:
                return self.entries
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return self.entries
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"event": "", "text": line.decode(errors="replace")}
            if isinstance(entry, dict) and self.keeps(entry):
                where, found = self._by_event.setdefault(entry.get("event"), ([], []))
                where.append(len(self.entries))
                found.append(entry)
                self.entries.append(entry)
        return self.entries

    def keeps(self, entry):  # pylint: disable=unused-argument
        """Whether this entry is looked at at all; for who must not see everything."""
        return True

    def _of_event(self, event, start=0, after=0):
        """Entries of this event from `start` among all, without the first `after` of them."""
        self.read()
        where, found = self._by_event.get(event, ([], []))
        return found[bisect.bisect_left(where, start) + after:]

    def find(self, event, predicate=None, start=0):
        found = self._of_event(event, start)
        return found if predicate is None else [entry for entry in found if predicate(entry)]

    def last(self, event):
        """(where among all, the entry) of the newest of this event; (-1, None) when there is none."""
        self.read()
        where, found = self._by_event.get(event, ([], []))
        return (where[-1], found[-1]) if found else (-1, None)

    def mark(self):
        """Where the log stands: `start` for what comes after."""
        return len(self.read())

    def matching(self, event, predicate=None, start=0):
        """A function that answers all entries so far that match; each entry is tested once."""
        found, tested = [], 0

        def look():
            nonlocal tested
            new = self._of_event(event, start, tested)
            tested += len(new)
            found.extend(entry for entry in new if predicate is None or predicate(entry))
            return found
        return look

    def wait_for(self, event, predicate=None, patience=None, start=0, process=None):
        """The first entry of this event that satisfies the predicate."""
        matching = self.matching(event, predicate, start)

        def look():
            if not matching() and process is not None and process.ended() and not matching():
                raise Failure(f"{process.name} ended ({process.popen.returncode}) before '{event}'\n{process.tail()}")
            return matching()
        return wait_until(look, lambda: f"'{event}' in {self.path.name}\n{self.tail()}", patience)[0]

    def tail(self, count=8):
        return "\n".join("    " + json.dumps(entry) for entry in self.read()[-count:])


class Place:
    """Where a program runs: the address at which it listens and is found, and the command that becomes it there, without a new process
    id, where that is another view of the machine."""

    def __init__(self, address="127.0.0.1", inside=()):
        self.address = address
        self.inside = inside
        self.listen = f"{address}:0"


HERE = Place()


class Process:
    """One running program of a Stack."""

    def __init__(self, stack, name, command, env, ports, stdin=None, place=HERE):
        self.stack = stack
        self.name = name
        self.command = [str(word) for word in command]
        self.env = env
        self.place = place
        folder = stack.folder / "run" / name
        folder.mkdir(parents=True, exist_ok=True)
        self.log = JsonLog(folder / "log.jsonl")
        self.output = folder / "output"
        self.errors = folder / "errors"
        self._ports_file = folder / "ports.json" if ports else None
        self._stdin = stdin
        self.popen = None

    def launch(self):
        command = [*self.place.inside, *self.command]
        if self._ports_file is not None:
            self._ports_file.unlink(missing_ok=True)
            command += ["--ports-file", str(self._ports_file)]
        command += ["--log-file", str(self.log.path), "--quiet"]
        with open(self.output, "ab") as output, open(self.errors, "ab") as errors:
            self.popen = subprocess.Popen(dies_with_parent(command), stdin=subprocess.DEVNULL if self._stdin is None else self._stdin,
                                          stdout=output, stderr=errors, env=self.env, cwd=self.stack.folder,
                                          start_new_session=True)
        return self

    def ended(self):
        return self.popen is None or self.popen.poll() is not None

    def wait_ready(self, patience=None):
        """Until the ports file is there: the program then listens."""
        def ready():
            if self._ports_file.exists():
                return True
            if self.ended():
                raise Failure(f"{self.name} ended with {self.popen.returncode} while starting:\n{self.tail()}")
            return False
        wait_until(ready, lambda: f"{self.name} to be ready\n{self.tail()}", patience)
        return self

    def ports(self):
        return json.loads(self._ports_file.read_text())["ports"]

    def port(self, name=None):
        """The named port; without a name the only one."""
        ports = self.ports()
        if name is None:
            if len(ports) != 1:
                raise Failure(f"{self.name} has several ports: {', '.join(ports)}")
            return next(iter(ports.values()))
        return ports[name]

    def address(self, name=None):
        return f"{self.place.address}:{self.port(name)}"

    def terminate(self, patience=10):
        """SIGTERM; the exit code. Failure when it does not end by itself."""
        if not self.ended():
            self.popen.send_signal(signal.SIGTERM)
        return self.wait(patience)

    def wait(self, patience=None):
        wait_until(self.ended, lambda: f"{self.name} to end\n{self.tail()}", patience)
        return self.popen.returncode

    def kill(self):
        """SIGKILL, and gone when it returns."""
        if not self.ended():
            self.popen.kill()
            self.popen.wait()

    def replace_option(self, option, value):
        """For the next launch."""
        at = self.command.index(option)
        self.command[at + 1] = str(value)

    def relaunch(self):
        """Starts it again; with a ports file, waits until it listens."""
        self.launch()
        if self._ports_file is not None:
            self.wait_ready()
        return self

    def wait_for(self, event, predicate=None, patience=None, start=0):
        return self.log.wait_for(event, predicate, patience, start, self)

    def error_text(self):
        return self.errors.read_text(errors="replace") if self.errors.exists() else ""

    def tail(self):
        text = "\n".join("    " + line for line in self.error_text().splitlines()[-5:])
        return (text + "\n" if text else "") + self.log.tail()


class Stack:
    """Processes and a temporary folder (mode 0700) that end together. KEYSTEAD_KEEP=1 or keep=True leaves the folder."""

    def __init__(self, name="stack", keep=False, mutant=None, bins=None):
        self.bins = pathlib.Path(bins) if bins else bin_dir()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"keystead-{name}-"))
        self.keep = keep or os.environ.get("KEYSTEAD_KEEP") == "1"
        self.processes = {}
        self._cleanups = []
        self._conversations = []
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("KEYSTEAD_")}
        if mutant:
            self.env["KEYSTEAD_MUTANT"] = mutant
        _open_stacks.append(self)
        _install_end()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and not issubclass(kind, (KeyboardInterrupt, SystemExit)):
            self.explain()
        self.close()

    def path(self, *parts):
        return str(self.folder.joinpath(*parts))

    def start(self, name, program, *arguments, ports=True, ready=True, env=None, stdin=None, place=HERE):
        """Starts a program under a name that is unique in this stack."""
        old = self.processes.get(name)
        if old is not None and not old.ended():
            raise Failure(f"{name} is running already")
        process = Process(self, name, [self.bins / program, *arguments], {**self.env, **(env or {})}, ports, stdin, place)
        self.processes[name] = process
        process.launch()
        if ports and ready:
            process.wait_ready()
        return process

    def run(self, program, *arguments, patience=30, check=True, env=None, input=None, place=HERE):
        """Runs a short command to its end. With check, Failure on any exit code but 0."""
        command = [*place.inside, str(self.bins / program) if "/" not in str(program) else str(program), *map(str, arguments)]
        try:
            result = subprocess.run(dies_with_parent(command), capture_output=True, text=True, errors="replace", timeout=patience,
                                    env={**self.env, **(env or {})}, cwd=self.folder, input=input,
                                    stdin=subprocess.DEVNULL if input is None else None)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"no end within {patience} s: {' '.join(command[:6])} …\n{error.stdout}\n{error.stderr}") from error
        if check and result.returncode != 0:
            raise Failure(f"exit code {result.returncode}: {' '.join(command)}\n{result.stdout}{result.stderr}")
        return result

    def converse(self, program, *arguments, place=HERE):
        """A program that answers lines with lines, until the stack ends: its Popen, with pipes for text."""
        errors = open(self.folder / "run" / "conversations", "ab")  # pylint: disable=consider-using-with
        child = subprocess.Popen(dies_with_parent([*place.inside, self.bins / program, *arguments]), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=errors, text=True, env=self.env, cwd=self.folder)
        errors.close()
        self._conversations.append(child)
        return child

    def on_close(self, action):
        """Called when all processes have ended, last registered first; for mounts and the like."""
        self._cleanups.append(action)

    def explain(self):
        """What a reader of a failed test needs: the end of every log."""
        for process in self.processes.values():
            state = "runs" if not process.ended() else f"ended with {process.popen and process.popen.returncode}"
            print(f"--- {process.name}: {state}\n{process.tail()}", file=sys.stderr, flush=True)
        print(f"--- folder: {self.folder}{'' if self.keep else ' (KEYSTEAD_KEEP=1 keeps it)'}", file=sys.stderr, flush=True)

    def stop(self, patience=10, processes=None):
        """Asks every process, or these, to end; names those that had to be killed."""
        running = [process for process in (processes or self.processes.values()) if not process.ended()]
        for process in running:
            process.popen.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + patience
        stubborn = []
        for process in running:
            try:
                process.popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                stubborn.append(process.name)
                process.kill()
        return stubborn

    def close(self):
        if self not in _open_stacks:
            return
        _open_stacks.remove(self)
        for process in self.processes.values():
            process.kill()
        for child in self._conversations:
            child.kill()
            child.wait()
            child.stdin.close()
            child.stdout.close()
        for action in reversed(self._cleanups):
            action()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def _close_all():
    for stack in list(_open_stacks):
        stack.close()


def _install_end():
    # SIGTERM ends Python without running `finally`; as SystemExit it does. SIGINT already is KeyboardInterrupt.
    if not getattr(_install_end, "done", False):
        _install_end.done = True
        atexit.register(_close_all)
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
