"""What a hostile container would meet: whom it can reach, what the kernel lets it do, and whose keys it sees.

Looked at from inside each container's own network and process namespace, not read off the configuration."""

import concurrent.futures
import hashlib
import io
import json
import os
import tarfile

import harness

# Who stands in which network, and who listens where for others. Written down here, not read from docker-compose.yml.
ZONES = {
    "home-acme": ("acme-router", "acme-hub", "acme-gateway", "acme-bulb", "acme-thermo", "acme-meter", "acme-phone"),
    "home-globex": ("globex-router", "globex-hub", "globex-gateway", "globex-cuff", "globex-meter", "globex-phone"),
    "internet": ("acme-router", "globex-router", "balancer"),
    "cloud": ("balancer", "backend"),
    "metrics": ("backend", "prometheus"),
    "control": ("control-backend", "control-gateway", "control-meter", "acme-phone"),
    "window-acme": ("acme-phone",),
    "window-globex": ("globex-phone",),
    "window-metrics": ("prometheus",),
}
BY_PROFILE = ("prometheus", "control-backend", "control-gateway", "control-meter")
# By the last part of a name: each port, and how the networks are called in which it is there; "" in each of its own.
LISTENERS = {
    "backend": {7443: "cloud", 9464: "metrics"},
    "balancer": {7440: "internet", 7443: "", 7444: "", 7445: ""},
    "gateway": {7443: ""},
    "hub": {7440: "", 7443: ""},
    "router": {7440: "home", 7443: "", 7444: "", 7445: "", 7446: ""},
    "phone": {8080: "window"},
    "prometheus": {9090: "window"},
    "control-backend": {7443: ""},
}
PORTS = (*range(7440, 7448), 8080, 9090, 9464)
LOOKS = 10  # at once: a look waits most of its time for addresses that never answer
# Tries every "who address port" read, all at once; says which were accepted. Perl, because Debian's base has it and nothing
# else that can open connections by the hundred.
SCAN = r"""
use strict; use Socket; use Fcntl; use Errno;
my (%open, $set); $set = "";
while (<STDIN>) {
  my ($who, $address, $port) = split;
  socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "no socket: $!";
  fcntl($socket, F_SETFL, O_NONBLOCK);
  if (connect($socket, pack_sockaddr_in($port, inet_aton($address)))) { print "reached $who $port\n"; next }
  next unless $!{EINPROGRESS};
  $open{fileno $socket} = [$socket, "$who $port"];
  vec($set, fileno $socket, 1) = 1;
}
my $until = time + 10;
while (%open && time < $until) {
  select(undef, my $ready = $set, undef, 1) > 0 or next;
  for my $number (keys %open) {
    next unless vec($ready, $number, 1);
    my ($socket, $what) = @{delete $open{$number}};
    vec($set, $number, 1) = 0;
    print "reached $what\n" if unpack("i", getsockopt($socket, SOL_SOCKET, SO_ERROR)) == 0;
  }
}
"""
# What the kernel says of the program itself, and whether a name of ours and one of nobody's are answered.
ASK = r"""
my %status = map { /^(\w+):\s*(\S+)/ ? ($1 => $2) : () } do { open my $file, "<", "/proc/1/status" or die "status: $!"; <$file> };
print "$_ $status{$_}\n" for qw(Uid CapEff CapPrm CapBnd NoNewPrivs);
open my $forward, "<", "/proc/sys/net/ipv4/ip_forward"; print "forwards ", scalar <$forward>;
open my $mounts, "<", "/proc/1/mountinfo"; for (<$mounts>) { my @field = split; print "root $field[5]\n" if $field[4] eq "/" }
print "ours answered\n" if gethostbyname $ARGV[0];
print "foreign answered\n" if gethostbyname "nobody.example.com";
"""


def everybody(services):
    """Of these, and of all that belong to no profile, those that run for good."""
    return sorted({name for zone in ZONES.values() for name in zone if name in services or name not in BY_PROFILE})


def listeners(name):
    return LISTENERS.get(name, LISTENERS.get(name.rsplit("-", 1)[-1], {}))


def may_reach(name, names):
    """(who, port) that `name` may reach: listeners in a network in which it stands."""
    return {(other, port) for zone, inside in ZONES.items() if name in inside for other in inside if other in names
            for port, where in listeners(other).items() if zone.startswith(where)}


class Inspector:
    """Starts a shell beside a container, with no more rights than it has."""

    def __init__(self, project):
        self.project = project
        self.image = os.environ.get("KEYSTEAD_SETUP_IMAGE", "localhost/keystead-setup")

    def look(self, container, targets):
        """The lines that SCAN and ASK print: [first word, the rest]."""
        result = self.project.docker(
            "run", "--rm", "-i", "--network", f"container:{container.id}", "--pid", f"container:{container.id}", "--user", "10001:10001",
            "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--log-driver", "none", self.image, "timeout", "90", "perl", "-e",
            SCAN + ASK, container.name, patience=120, stdin=targets)
        return [line.split(None, 1) for line in result.stdout.splitlines()]


def inspected(project, containers):
    """Container's name → what the engine says of it, all asked at once."""
    found = json.loads(project.docker("inspect", *(container.id for container in containers.values())).stdout)
    by_id = {one["Id"]: one for one in found}
    return {name: by_id[container.id] for name, container in containers.items()}


def addresses(about):
    """Its address in every network."""
    return [network["IPAddress"] for network in about["NetworkSettings"]["Networks"].values()]


def walls(demo):
    screen, project = demo.screen, demo.project
    screen.stage("The walls between the networks", "From inside every container: each address and port of every other one is tried, and "
                 "what the kernel grants its program is read. Nothing here is believed because the configuration says so.")
    inspector = Inspector(project)
    names = everybody(project.services())
    containers = {name: project.container(name) for name in names}
    about = inspected(project, containers)
    targets = "".join(f"{name} {address} {port}\n" for name in names for address in addresses(about[name]) for port in PORTS)
    with concurrent.futures.ThreadPoolExecutor(LOOKS) as pool:
        seen = dict(zip(names, pool.map(lambda name: inspector.look(containers[name], targets), names)))
    reached = {name: {(what.split()[0], int(what.split()[1])) for kind, what in lines if kind == "reached"} for name, lines in seen.items()}
    wrong = {name: strange for name in names if (strange := reached[name] ^ may_reach(name, names))}
    tried = targets.count("\n")
    demo.checks.check("walls.reach", not wrong, f"each of {len(names)} containers reaches, of {tried} addresses and ports, the listeners "
                      f"of its own networks and nothing else {dict(list(wrong.items())[:2]) or ''}")
    cloud = [(name, who) for name in names for who, port in reached[name] if (who, port) == ("backend", 7443) and name not in ("backend", "balancer")]
    demo.checks.check("walls.cloud", not cloud and ("backend", 7443) in reached["balancer"],
                      f"nobody but the balancer reaches the backend, which it does {cloud or ''}")
    private = {("backend", 9464): {"backend", "prometheus"}, ("prometheus", 9090): {"prometheus"},
               **{(f"{home}-phone", 8080): {f"{home}-phone"} for home in ("acme", "globex")}}
    strangers = [(name, *what) for what, own in private.items() for name in names if name not in own and what in reached[name]]
    unseen = [what for what, own in private.items() if what[0] in names and what not in reached[what[0]]]
    demo.checks.check("walls.windows", not strangers and not unseen, "the owners' pages, the backend's numbers and Prometheus are reached by no "
                      f"other container, though they are there; the balancer, which stands beside the backend, reads no numbers {strangers + unseen or ''}")
    probes(demo, containers, addresses(about["backend"])[0])
    kernel(demo, seen, about)
    keys(demo, containers, about)


def probe(container, address, chain, key, roots, server):
    """The exit code of the health probe: 0 it answers, 2 no connection."""
    return container.run("keystead-health-probe", "--quiet", "--addr", address, "--tls", "--tls-ca-cert", roots, "--tls-client-cert", chain,
                         "--tls-client-key", key, "--tls-server-name", server, check=False).returncode


def probes(demo, containers, backend):
    """With the device's own program and keys: one way is open, and it leads through the hub."""
    provider, acme = "spiffe://provider-one.example", "spiffe://acme.keystead.example"
    own = ("/keys/own/chain.pem", "/keys/own/key.pem")
    bulb, phone, balancer = (containers[name] for name in ("acme-bulb", "acme-phone", "balancer"))
    hub = probe(bulb, "acme-hub:7443", *own, "/keys/roots.pem", f"{acme}/gateway/lan-hub")
    direct = [probe(bulb, f"{host}:7443", *own, "/keys/roots.pem", f"{provider}/service/backend") for host in ("backend", backend)]
    control = [probe(balancer, f"{host}:7443", "/keys/acme/chain.pem", "/keys/acme/key.pem", "/keys/provider.pem",
                     f"{provider}/service/backend") for host in ("backend", backend)]
    relayed = probe(phone, "acme-router:7445", *own, "/keys/provider.pem", f"{provider}/service/backend")
    demo.checks.check("walls.device", (hub, direct) == (0, [2, 2]),
                      "the bulb, asking with its own program and keys, is answered by its hub and by the backend neither by name nor by address")
    demo.checks.check("walls.control", (control, relayed) == ([0, 0], 0),
                      "the same question is answered where it should be: to the balancer in the cloud, and to the phone through the relays")


def kernel(demo, seen, about):
    wanted = {"Uid": "10001", "CapEff": "0" * 16, "CapPrm": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "forwards": "0"}
    weak, leaks, lost = [], [], []
    for name, lines in seen.items():
        said = dict(lines)
        weak += [f"{name}: {field} {said.get(field)}" for field, value in wanted.items() if said.get(field) != value]
        weak += [f"{name}: root is {said.get('root')}"] if "ro" not in said.get("root", "").split(",") else []
        weak += [f"{name}: {line}" for line in limits(about[name]["HostConfig"])]
        leaks += [name] if "foreign" in said else []
        lost += [name] if "ours" not in said else []
    demo.checks.check("walls.unprivileged", not weak, f"each program runs as nobody in particular: no capability, none to be had, a root "
                      f"that cannot be written, bounded memory and processes {weak[:3] or ''}")
    demo.checks.check("walls.names", not leaks and not lost, "inside, names of the demonstration are answered and no others "
                      f"{leaks + lost or ''}")


def limits(host):
    if not 0 < host["Memory"] <= 512 << 20:
        yield f"memory limit {host['Memory']}"
    if not 0 < (host["PidsLimit"] or 0) <= 512:
        yield f"processes limit {host['PidsLimit']}"


def keys(demo, containers, about):
    """No private key is in two containers; no authority's is in any. Environment and command lines hold none."""
    owners, authorities, told = {}, [], []
    keyless = {"prometheus"}
    volumes = {name: container for name, container in containers.items() if name not in keyless}
    told += [name for name in keyless & set(about) if any("keys" in mount["Destination"] or "authorities" in mount["Name"] for mount in about[name]["Mounts"])]
    for name, content in zip(volumes, demo.pool.map(lambda container: container.copy_out("/keys"), volumes.values())):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive.getmembers():
                if not member.isfile():
                    continue
                content = archive.extractfile(member).read()
                if b"PRIVATE KEY" in content:
                    owners.setdefault(hashlib.sha256(content).hexdigest(), []).append(f"{name}:{member.name}")
                if member.name.endswith("ca.key"):
                    authorities.append(f"{name}:{member.name}")
                if b"PRIVATE KEY" in content and member.mode & 0o077:
                    authorities.append(f"{name}:{member.name} is open to others")
    for name in containers:
        said = json.dumps(about[name]["Config"])
        told += [name] if "PRIVATE KEY" in said or "KSRK1" in said else []
    shared = [places for places in owners.values() if len(places) > 1]
    demo.checks.check("walls.keys", len(owners) >= len(volumes) and not shared and not authorities and not told,
                      f"{len(owners)} private keys, each in one container; no authority's in any; none in an environment or on a command line "
                      f"{(shared + authorities + told)[:2] or ''}")
