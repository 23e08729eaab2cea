#!/usr/bin/env python3
"""docker-compose.yml end to end: images, up, each container killed once, still right, the demonstration, down."""

import argparse
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "scripts/lib")]

import compose
import compose_page
import compose_walls
import demo_compose
import harness
from demo_report import Assertions, Screen

SKIPPED = 77  # CTest's SKIP_RETURN_CODE
# A key's text, not the word: OpenSSL's library holds the word.
PEM_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{32}")
OWN_LAYERS = 2  # what runs, and where volumes go


class Trial:
    """What the test has started, and its end."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.screen = Screen()
        self.checks = Assertions(self.screen)
        name = f"keystead-test-{os.getpid()}"
        profiles = ("metrics", "control") if arguments.control or not arguments.prebuilt else ("metrics",)
        self.project = compose.Project(name, profiles=profiles)
        self.images = compose.Images(self.project, name, "control" in profiles)
        # Ports that are free, so that others may run beside it.
        ports = {f"KEYSTEAD_{what}_PORT": "" for what in ("ACME_PAGE", "GLOBEX_PAGE", "PROMETHEUS")}
        self.project.env.update(self.images.env() | ports)
        os.environ.update(self.images.env() | ports)

    def build(self):
        if self.arguments.prebuilt:
            self.screen.stage("Images", f"Stripped programs of {self.arguments.prebuilt} and the libraries that they load.")
            self.images.from_programs(self.arguments.prebuilt, self.arguments.control)
        else:
            self.screen.stage("Images", "Everything is built from source in a container: ten minutes and more.")
            self.images.from_source()
        for what, name in self.images.names.items():
            size = int(self.project.docker("image", "inspect", "--format", "{{.Size}}", name).stdout)
            self.screen.say(f"{what.lower().replace('_', '-')}: {size / 1e6:.0f} MB")
        no_keys_in_layers(self)

    def up(self):
        self.screen.stage("Up", "Each container starts when those that it needs say that they serve; the homes are made by their labels.")
        started = time.monotonic()
        self.project.compose("up", "-d", "--no-build", patience=compose.UP_SECONDS)
        harness.wait_until(lambda: not sick(self.project), lambda: f"everybody to be healthy: {sick(self.project)}", 60)
        self.checks.check("up.healthy", True, f"{len(self.project.services())} containers run after {time.monotonic() - started:.0f} s")

    def play(self):
        """The demonstration as its user starts it."""
        words = [sys.executable, "-B", ROOT / "scripts/lib/demo_compose.py", "--project", self.project.name]
        code = subprocess.run(words, env={**self.project.env}, timeout=900, check=False).returncode
        self.checks.check("demo", code == 0, "the demonstration found everything as expected" if code == 0 else f"the demonstration ended with {code}")

    def end(self):
        """Whatever became of it: nothing stays."""
        self.project.compose("--profile", "demo", "down", "-v", "-t", "5", "--remove-orphans", patience=240, check=False)
        self.images.remove()
        left = list(remains(self.project))
        self.project.close()
        return left


def remains(project):
    label = f"label=com.docker.compose.project={project.name}"
    for kind, words in (("container", ["ps", "-aq"]), ("volume", ["volume", "ls", "-q"]), ("network", ["network", "ls", "-q"])):
        yield from (f"{kind} {line}" for line in project.docker(*words, "--filter", label).stdout.split())


def sick(project):
    """Services that should run and do not, or are not healthy."""
    return [name for name in compose_walls.everybody(project.services(everything=True)) if not project.container(name).healthy()]


def no_keys_in_layers(trial):
    """Whoever gets an image gets no key with it. The search first finds one: a library of Debian's base tests itself with it."""
    own, base = {}, {}
    for name in (name for variable, name in trial.images.names.items() if not variable.startswith("CONTROL")):  # which are the same but for the build
        count = len(json.loads(trial.project.docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", name).stdout))
        with tarfile.open(fileobj=io.BytesIO(trial.project.docker("save", name, text=False, patience=180).stdout)) as image:
            layers = json.load(image.extractfile("manifest.json"))[0]["Layers"]
            for number, layer in enumerate(layers):
                where = own if number >= count - OWN_LAYERS else base
                where[f"{name}, layer {number}"] = image.extractfile(layer).read()
    keys = [where for where, layer in own.items() if PEM_KEY.search(layer)]
    size = sum(map(len, own.values())) / 1e6
    trial.checks.check("images.no_keys", size > 10 and not keys, f"no private key in the {len(own)} layers that are ours ({size:.0f} MB) {keys or ''}")
    trial.checks.check("images.search_sees", any(PEM_KEY.search(layer) for layer in base.values()),
                       "the same search finds the key in Debian's base with which libgnutls tests itself")


def killed_once(trial):
    """Each container dies as by a power cut, comes back, and the readings of both homes go on."""
    screen, checks, project = trial.screen, trial.checks, trial.project
    screen.stage("Each container is killed once", "SIGKILL, then started again; new readings of every device must reach its owner's phone.")
    demo = demo_compose.Demo(screen, checks, project)
    project.forget()
    demo_compose.attach(demo)
    demo_compose.new_readings(demo, 60)
    pages = {home: compose_page.Page(project, home) for home in demo.homes}
    phones = [home.phone for home in demo.homes.values()]
    known = holes(phones)
    lame = []
    # The phones first: what they show from then on is what all the others are judged by.
    names = sorted(compose_walls.everybody(project.services(everything=True)), key=lambda name: (not name.endswith("-phone"), name))
    for name in names:
        started = time.monotonic()
        container = project.container(name)
        container.restart()
        for home in demo.homes.values():
            if home.phone is container:
                demo.watches[home.name] = home.app.watch()
        try:
            harness.wait_until(container.healthy, f"{name} to be healthy again", 60)
            demo_compose.new_readings(demo, 60)
            screen.say(f"{name}: right again after {time.monotonic() - started:.0f} s")
        except harness.Failure as failure:
            lame.append(name)
            screen.say(screen.bad(f"{name}: {str(failure).splitlines()[0]}"))
    checks.check("kill.comes_back", not lame, f"{len(names)} containers were killed, and each time all readings went on {lame or ''}")
    try:
        harness.wait_until(lambda: holes(phones) <= known, "no hole", 20)
    except harness.Failure:
        pass
    missing = sorted(holes(phones) - known)
    # Since they were killed themselves: what a phone showed and had not noted yet it shows once more.
    twice = [place for watch in demo.watches.values() for place, times in watch.delivered().items() if times > 1]
    checks.check("kill.nothing_lost", not missing and not twice, f"no record is missing at a phone, and none came twice {(missing + twice)[:2] or ''}")
    answers = [line for line in demo.homes["acme"].app.send("bulb", "off") if line["event"] == "answer"]
    checks.check("kill.still_obeys", answers and answers[0]["result"] == "done", "the bulb did what the phone said, and signed its answer")
    new = {home: compose_page.Page(project, home) for home in pages}
    checks.check("kill.page_goes_on", all(page.api("GET", "home")["devices"] and page.token == pages[home].token for home, page in new.items()),
                 "an open page goes on after its phone was killed: the token is the same")
    compose_page.attack(demo)


def holes(phones):
    """(stream, sequence) of every record that its phone never showed, though it showed an earlier and a later one of the stream,
    or that it calls missing and never showed."""
    streams, found = {}, set()
    for phone in phones:
        for event in phone.entries():
            if event["event"] == "record":
                streams.setdefault(event["stream"], set()).add(event["sequence"])
            elif event["event"] == "missing":
                found |= compose.places_of(event)
    for stream, shown in streams.items():
        found |= {(stream, sequence) for sequence in range(min(shown), max(shown))}
        found -= {(stream, sequence) for sequence in shown}  # what came late came
    return found


def main():
    parser = argparse.ArgumentParser(prog="scripts/test-compose", description="docker-compose.yml end to end: up, each container killed "
                                     "once, still right, the demonstration, down. Everything has a name of its own and is gone at the end. Exits "
                                     f"with 0, 1, or {SKIPPED} where no container engine can be reached.")
    parser.add_argument("--prebuilt", metavar="DIR", help="images from the programs there (Debian 12) instead of a build in a container")
    parser.add_argument("--control", metavar="DIR", help="with --prebuilt: programs of the preset mutants, for the unprotected control")
    arguments = parser.parse_args()
    trouble = compose.engine_says()
    if trouble:
        print(f"skipped: no container engine can be reached: {trouble}")
        return SKIPPED
    harness._install_end()  # pylint: disable=protected-access
    trial = Trial(arguments)
    try:
        for step in (trial.build, trial.up, lambda: killed_once(trial), trial.play):
            step()
    except (harness.Failure, subprocess.SubprocessError) as error:
        trial.checks.check("compose", False, str(error))
    finally:
        trial.screen.stage("Down", "Containers, volumes, networks and images of this run are removed.")
        left = trial.end()
        trial.checks.check("down.nothing_left", not left, f"nothing of it is left {left[:3] or ''}")
    failed = trial.checks.failed()
    trial.screen.line()
    trial.screen.line(f"{len(trial.checks.results) - len(failed)} of {len(trial.checks.results)} assertions passed")
    for name in failed:
        trial.screen.line(trial.screen.bad(f"failed: {name}") + f": {trial.checks.results[name][1][:600]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
