"""A running compose project, seen as tests/e2e/harness.py sees processes: logs that can be waited for, commands, restarts.

A container's standard error is its log and its standard output what it says; both are followed into files. Commands run in
the container of whoever would type them, with the keys that are there and no others."""

import json
import os
import pathlib
import secrets
import shutil
import subprocess
import tempfile
import threading

import harness
import product
from harness import Failure, JsonLog, wait_until
from home import App, Watch

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT_PROJECT = "keystead"
UP_SECONDS = 420
DIRECT = "direct"  # a home's way to the backend on which nobody ends TLS


def engine_says():
    """None when an engine answers; otherwise what is wrong, in one line."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    try:
        result = subprocess.run(["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, text=True, timeout=20,
                                check=False)
    except subprocess.TimeoutExpired:
        return "the Docker engine does not answer"
    if result.returncode != 0 or not result.stdout.strip():
        return (result.stderr.strip().splitlines() or ["no Docker engine answers"])[-1]
    if compose_command() is None:
        return "there is neither `docker compose` nor docker-compose"
    return None


def compose_command():
    """Compose v2 where there is one, otherwise docker-compose."""
    try:
        if subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=20, check=False).returncode == 0:
            return ["docker", "compose"]
    except (OSError, subprocess.TimeoutExpired):
        pass
    return ["docker-compose"] if shutil.which("docker-compose") else None


class Project:
    """One compose project by name; the containers of its services, found by the labels that both Composes set."""

    def __init__(self, name=DEFAULT_PROJECT, env=None, profiles=()):
        self.name = name
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="keystead-compose-"))
        self.env = {**os.environ, "COMPOSE_PROJECT_NAME": name, **(env or {})}
        self._options = ["-f", str(ROOT / "docker-compose.yml"), *(word for profile in profiles for word in ("--profile", profile))]
        self._compose = compose_command()
        self.processes = {}  # service → Container, as the demonstration's stages want it

    def docker(self, *words, patience=60, check=True, text=True, stdin=None):
        try:
            result = subprocess.run(["docker", *map(str, words)], capture_output=True, text=text, timeout=patience, check=False,
                                    env=self.env, input=stdin)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"no end within {patience} s: docker {' '.join(map(str, words))[:160]}") from error
        if check and result.returncode != 0:
            raise Failure(f"docker {' '.join(map(str, words))[:160]}: {str(result.stderr).strip()[-400:]}")
        return result

    def compose(self, *words, patience=300, check=True):
        """One run of Compose; its output goes into a file, whose end an error shows."""
        log = self.folder / "compose.log"
        with open(log, "ab") as output:
            try:
                result = subprocess.run([*self._compose, *self._options, "-p", self.name, *map(str, words)], stdin=subprocess.DEVNULL,
                                        stdout=output, stderr=subprocess.STDOUT, timeout=patience, check=False, env=self.env, cwd=ROOT)
            except subprocess.TimeoutExpired as error:
                raise Failure(f"no end within {patience} s: compose {' '.join(words)}; see {log}") from error
        if check and result.returncode != 0:
            end = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
            raise Failure(f"compose {' '.join(map(str, words))} ended with {result.returncode}:\n{end}")
        return result.returncode

    def services(self, everything=False):
        """Service → container id, of those that run or of all."""
        found = self.docker("ps", "--no-trunc", *(["-a"] if everything else []), "--filter",
                            f"label=com.docker.compose.project={self.name}", "--format",
                            '{{.ID}} {{.Label "com.docker.compose.service"}}').stdout
        return dict(reversed(line.split()) for line in found.splitlines())

    def container(self, service):
        if service not in self.processes:
            ids = self.services(everything=True)
            if service not in ids:
                raise Failure(f"project {self.name} has no container of {service}: docker compose up first")
            self.processes[service] = Container(self, service, ids[service])
        return self.processes[service]

    def forget(self):
        """What was followed so far: somebody else may have restarted the containers since."""
        for container in self.processes.values():
            container.close()
        self.processes.clear()

    def close(self):
        self.forget()
        shutil.rmtree(self.folder, ignore_errors=True)


class Images:
    """Images under a tag of their own: from programs that are built and Debian's packages, or from source in a container."""

    # Variable of docker-compose.yml → target of the Dockerfile, preset of the programs in it.
    ALL = {"RUNTIME": ("runtime", "release"), "SETUP": ("setup", "release"), "PROMETHEUS": ("prometheus", "release"),
           "CONTROL": ("runtime", "mutants"), "CONTROL_SETUP": ("setup", "mutants")}

    def __init__(self, project, tag, control):
        self.project = project
        self.names = {variable: f"localhost/keystead-{variable.lower().replace('_', '-')}:{tag}" for variable, (_, preset) in self.ALL.items()
                      if control or preset != "mutants"}

    def env(self):
        return {f"KEYSTEAD_{variable}_IMAGE": name for variable, name in self.names.items()}

    def from_programs(self, bins, control_bins=None):
        staged = {"release": self.project.folder / "staged", "mutants": self.project.folder / "staged-control"}
        for source, folder in ((bins, staged["release"]), ("--prometheus", staged["release"]), (control_bins, staged["mutants"])):
            if source:
                subprocess.run([ROOT / "docker/stage", source, folder], check=True, timeout=300)
        for variable, name in self.names.items():
            target, preset = self.ALL[variable]
            self.project.docker("build", "--quiet", "--file", ROOT / "docker/Dockerfile.staged", "--target", target, "--tag", name, staged[preset],
                                patience=300)

    def from_source(self):
        """What it says goes where ours goes: it takes ten minutes and more, and the control as long again."""
        for variable, name in self.names.items():
            target, preset = self.ALL[variable]
            subprocess.run(["docker", "build", "--network", "host", "--build-arg", f"PRESET={preset}", "--target", target, "--tag", name, "."],
                           cwd=ROOT, check=True, timeout=3 * 3600)

    def remove(self):
        for name in self.names.values():
            self.project.docker("rmi", "--force", name, check=False, patience=120)


class Container:
    """One container; has what harness.Process has and the stages use."""

    def __init__(self, project, name, identity):
        self.project = project
        self.name = name
        self.id = identity
        self.said = set()  # places of which it said something before: Output does not look at that again
        self._earlier = []  # logs of earlier runs stay the objects they were: evidence is kept by log
        self._followers = []
        self._conversations = []
        self._follow(None)

    def _follow(self, since):
        """Into new files, from `since` on or from the beginning."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=self.project.folder))
        self.log = JsonLog(folder / "log.jsonl")
        self.output = folder / "output"
        words = ["docker", "logs", "--follow", *(["--since", since] if since else []), self.id]
        with open(self.output, "ab") as output, open(self.log.path, "ab") as log:
            self.popen = subprocess.Popen(harness.dies_with_parent(words), stdin=subprocess.DEVNULL, stdout=output, stderr=log,
                                          env=self.project.env)
        self._followers.append(self.popen)

    def ended(self):
        """Its log can be followed as long as it runs."""
        return self.popen.poll() is not None

    def state(self):
        return json.loads(self.project.docker("inspect", "--format", "{{json .State}}", self.id).stdout)

    def healthy(self):
        """Runs, and is healthy where it has a health check."""
        state = self.state()
        return state["Running"] and state.get("Health", {"Status": "healthy"})["Status"] == "healthy"

    def kill(self):
        self.project.docker("kill", "--signal", "KILL", self.id)
        wait_until(lambda: not self.state()["Running"], f"{self.name} to be gone")

    def start(self):
        self.project.docker("start", self.id)
        self._earlier.append(self.log)
        self._follow(self.state()["StartedAt"])

    def restart(self):
        """As after a power cut."""
        self.kill()
        self.start()

    def restart_in_peace(self):
        """Asked to end, so that it notes all that it did."""
        self.project.docker("stop", "--time", "20", self.id)
        self.start()

    def entries(self):
        """All that the engine kept of its output, over every start. Who follows a log may lose the last lines of one that is killed."""
        return [json.loads(line) for line in self.project.docker("logs", self.id, patience=120).stdout.splitlines()]

    def tail(self):
        return self.log.tail()

    # What a Stack does, inside: the programs are the container's own.
    def run(self, program, *arguments, patience=60, check=True, env=None, input=None, place=None):  # pylint: disable=redefined-builtin
        del env, place
        words = ["exec", *(["-i"] if input is not None else []), self.id, program, *arguments]
        result = self.project.docker(*words, patience=patience, check=False, stdin=input)
        if check and result.returncode != 0:
            raise Failure(f"{self.name}: {program} {' '.join(map(str, arguments))[-200:]} ended with {result.returncode}:\n"
                          f"{result.stdout[-400:]}{result.stderr[-400:]}")
        return result

    def converse(self, program, *arguments, place=None):
        del place
        child = subprocess.Popen(harness.dies_with_parent(["docker", "exec", "-i", self.id, program, *arguments]),
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.project.env)
        self._conversations.append(child)
        return child

    def start_inside(self, name, program, *arguments):
        command = Command(self, name, [program, *map(str, arguments)])
        return command

    def copy_out(self, path):
        """The files below `path`, as a tar archive: also from a container without a shell."""
        return self.project.docker("cp", f"{self.id}:{path}", "-", text=False, patience=120).stdout

    def published(self, port):
        """HOST:PORT on this machine."""
        found = self.project.docker("port", self.id, f"{port}/tcp", check=False).stdout.split()
        if not found:
            raise Failure(f"{self.name} publishes no port {port}: does it run?")
        return found[0]

    def read(self, path):
        """One file's content."""
        import io
        import tarfile
        with tarfile.open(fileobj=io.BytesIO(self.copy_out(path))) as archive:
            return archive.extractfile(archive.getmembers()[0]).read()

    def close(self):
        for child in self._conversations:
            child.stdin.close()
        for child in self._followers + self._conversations:
            child.kill()
            child.wait()
        for child in self._conversations:
            child.stdout.close()


class Command:
    """A command under way in a container: what demo_commands wants of a process."""

    def __init__(self, container, name, words):
        self.name = name
        folder = container.project.folder
        self.output = folder / f"{name}.output"
        self._errors = folder / f"{name}.errors"
        with open(self.output, "ab") as output, open(self._errors, "ab") as errors:
            self.popen = subprocess.Popen(harness.dies_with_parent(["docker", "exec", container.id, *words]), stdin=subprocess.DEVNULL,
                                          stdout=output, stderr=errors, env=container.project.env)

    def ended(self):
        return self.popen.poll() is not None

    def wait(self, patience=None):
        wait_until(self.ended, f"{self.name} to end", patience)
        return self.popen.returncode

    def error_text(self):
        return self._errors.read_text(errors="replace")


def places_of(entry):
    """The records that an alarm, a gap or a duplicate is about."""
    if entry.get("event") not in ("alarm", "missing", "duplicate") or not entry.get("stream"):
        return set()
    first = entry.get("first", entry.get("sequence", 0))
    return {(entry["stream"], sequence) for sequence in range(first, entry.get("last", first) + 1)}


class Output(JsonLog):
    """What a phone says, without what it has said of the same records before: one that starts meets once more what was spoilt."""

    def __init__(self, path, said):
        super().__init__(path)
        self._said = said

    def keeps(self, entry):
        places = places_of(entry)
        return not places or not places <= self._said


class Way:
    """A next hop as a container sees it: address, who answers, and the authorities it is verified against."""

    def __init__(self, address, spiffe, roots="/keys/provider.pem"):
        self.address = address
        self.spiffe = spiffe
        self.roots = roots


class Phone(App):
    """The owner's app: verbs run in the container in which it watches."""

    def __init__(self, container, tenant, home):
        self.stack = self  # its commands are started here
        self.place = None
        self.container = container
        self.tenant = tenant
        self.name = f"{home}-phone"
        self.hop = Way(f"{home}-router:7444", f"spiffe://{product.PROVIDER}/service/balancer")
        self.direct = Way(f"{home}-router:7445", f"spiffe://{product.PROVIDER}/service/backend")
        self.state = "/state"

    def arguments(self, hop=None):
        hop = {None: self.hop, DIRECT: self.direct}.get(hop, hop)
        return ["--state", self.state, "--next-hop", hop.address, "--next-hop-id", hop.spiffe, "--tls-chain", "/keys/own/chain.pem",
                "--tls-key", "/keys/own/key.pem", "--tls-roots", hop.roots, "--json"]

    def run(self, *words, **options):
        return self.container.run(*words, **options)

    def start(self, name, program, *arguments, ports=False, place=None):
        del ports, place
        return self.container.start_inside(name, program, *arguments)

    def pair(self, labels, hop=None, wait=20, check=True):
        return self.call("pair", "--wait", wait, *[word for label in labels for word in ("--label-file", label)], hop=hop,
                         patience=wait * 3 + 20, check=check)

    def watch(self, name=None, hop=None, env=None):
        """It watches as long as its container runs."""
        self.watching = Watch(self.container)
        self.watching.events = Output(self.container.output, self.container.said)
        return self.watching


class Box(product.Infra):
    """The controls of one piece of equipment, from inside it and with its owner's keys."""

    BOXES = "equipment.keystead.example"

    # Another in each run: what an earlier one forged must not come again. KEYSTEAD_SEED repeats one, in containers made anew.
    seed = int(os.environ.get("KEYSTEAD_SEED", "0")) or 1 + secrets.randbelow(1 << 20)

    def __init__(self, container, listeners=None):  # pylint: disable=super-init-not-called
        self.stack = self.process = container
        self._listeners = listeners or {}  # how the demonstration calls a listener → how it is called here
        self._session = None
        self._asking = threading.Lock()

    def _control(self):
        return ["ctl", "--control", "127.0.0.1:7440", "--server", f"spiffe://{self.BOXES}/service/*", "--tls-chain",
                "/keys/admin/chain.pem", "--tls-key", "/keys/admin/key.pem", "--tls-roots", f"/keys/tenants/{self.BOXES}/ca.pem"]

    def plan(self, attacks):
        return super().plan([{**attack, "listener": self._listeners.get(attack.get("listener"), attack.get("listener")),
                              "seed": attack.get("seed", 1) + self.seed} for attack in attacks])

    def reboot(self):
        self.process.restart()
        wait_until(self.process.healthy, f"{self.process.name} to be back", 60)
