"""S2: two products, one hub that nobody has to trust."""

import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tempfile
import time

import boundary
import demo_keys
from battle import Battle, Fight, fight_commands, fight_out, judge
from outage import taken_between, utc
from product import Hop
from product_keys import holds_nothing, keys_of
from registry import CannotRun, assertion, expect
from wiring import repoint

READINGS = [("modify", "topic"), ("modify", "stream"), ("modify", "cose_partial_iv"), ("modify", "cose_ciphertext"), ("modify", "cose_tag"),
            ("truncate", "cose_ciphertext"), ("reorder", None), ("duplicate", None), ("replay", None), ("splice", "sequence"),
            ("splice", "stream"), ("forge", "stream"), ("ack_and_drop", None)]
UNREACHABLE = 60  # seconds: a probe's answer counts for 30, and a silent connection is given up after 40
NOBODY = 65534


@assertion("S2.1")
def the_hub_holds_nothing(run):
    keys = keys_of(run)
    searched, own = holds_nothing(run, "adv-hub", run.adversary("adv-hub").take_all(), keys, run.wired.apps["mobile"], ("hub-a", "hub-b", "hub-front"))
    return (f"{searched / 1e6:.0f} MB of store, keys, logs and memory of the hub were searched for the text and {len(keys)} keys: none; the "
            f"phone's folder shows {own} of them, and with sealing off the hub shows the text")


@assertion("S2.2a")
def readings_arrive_whole(run):
    battle, front = Battle(run), run.adversary("adv-hub").position("hub-front")
    fights = [Fight(battle, front, "bulbs-a", "up", "telemetry/", [*READINGS, ("splice", "tenant")], "hub-a"),
              Fight(battle, front, "app-a", "down", "telemetry/", READINGS)]
    before = run.wired.apps["mobile"].call("members")
    for fight in fights:  # in turns: a record spoilt twice would ring one alarm
        fight_out(run, [fight])
    text, file = judge(run, "S2.2a", fights)
    expect(run.wired.apps["mobile"].call("members") == before, "the members changed", [file])
    return text, [file]


@assertion("S2.2b")
def commands_arrive_whole(run):
    return fight_commands(run, "S2.2b", run.adversary("adv-hub").position("hub-front"), "app-a", "up", "A", "bulb-a", "hub-a")


def members_of(app):
    return app.call("members")[0]["members"]


@assertion("S2.3")
def the_hub_is_no_component(run):
    told = []
    for name, owner in run.wired.products.items():
        members = members_of(owner.app)
        components = {member["device"] for member in members if member["rights"]} | \
                     {member["device"] for member in members if member["transport"] == owner.app.leaf.spiffe}
        carriers = {member["transport"].rsplit("/", 1)[1] for member in members} - {
            member["transport"].rsplit("/", 1)[1] for member in members if member["device"] in components}
        wanted = {process for process, entry in run.scenario.processes.items() if entry["in_product"] and entry["product"] == name}
        transports = {member["transport"].rsplit("/", 1)[1] for member in members if member["device"] in components}
        expect(transports == wanted, f"product {name} has {sorted(transports)} with rights, wanted {sorted(wanted)}")
        expect(carriers == set(run.scenario.products[name]["carriers"]), f"product {name} is carried by {sorted(carriers)}")
        told.append(f"{name}: {', '.join(sorted(transports))}; carried without any right by {', '.join(sorted(carriers))}")
    expect(boundary.columns(run.scenario.processes) == ["APP", "DEV"], f"columns are {run.scenario.columns}")
    run.new_readings()
    return "; ".join(told) + "; the report has columns APP and DEV"


def live(watch):
    return [state["device"] for state in watch.latest_states().values()
            if state["topic"].startswith("telemetry/") and state["liveness"] == "live"]


@assertion("S2.5")
def an_outage_is_seen(run):
    front = run.adversary("adv-hub").position("hub-front").process
    watches = run.wired.watches
    run.within(lambda: all(live(watch) for watch in watches.values()), 40, "before the outage nothing is called live")
    front.popen.send_signal(signal.SIGSTOP)  # everything that comes is swallowed; no connection is closed
    try:
        began = utc()
        started = time.monotonic()
        run.within(lambda: not any(live(watch) for watch in watches.values()), UNREACHABLE,
                   lambda: f"still called live: {[live(watch) for watch in watches.values()]}")
        after = time.monotonic() - started
        run.within(lambda: not any((watch.events.last("connection")[1] or {}).get("connected") for watch in watches.values()), UNREACHABLE,
                   "an app still says that it is connected")
        unreachable = time.monotonic() - started
        ended = utc()
    finally:
        front.popen.send_signal(signal.SIGCONT)

    for name, owner in run.wired.products.items():
        for device in owner.devices:
            run.within(lambda name=name, device=device: len(taken_between(watches[name], device, began, ended)) >= 10, 40,
                       lambda name=name, device=device: f"of {device} {len(taken_between(watches[name], device, began, ended))} readings of the outage came")
    run.within(lambda: all(live(watch) for watch in watches.values()), 60, "after the outage nothing is called live again")
    return f"{after:.0f} s after the hub fell silent no value was called live, after {unreachable:.0f} s both apps said unreachable; readings taken meanwhile came later, from every device"


@assertion("S2.6")
def each_app_controls_its_own_bulb(run):
    products, told = run.wired.products, []
    for name, other, bulb, own in (("A", "B", "bulb-b", "bulb-a"), ("B", "A", "bulb-a", "bulb-b")):
        app, stranger = products[name].app, products[other]
        answer = next(line for line in app.send(own, "on") if line["event"] == "answer")
        expect(answer["result"] == "done", f"{app.name} cannot switch its own bulb: {answer['result']}")
        done = len(stranger.devices[bulb].process.log.find("command_done"))
        member = stranger.devices[bulb].wait_joined()["member"]
        _, sent = app.send(member, "off", check=False, timeout=3)
        expect(sent.returncode != 0, f"{app.name} sent a command to {bulb}")
        hop = run.wired.next_hop(stranger.app.name)
        _, asked = app.call("raw", "--wait", "2", hop=Hop(hop.process, hop.port, hop.spiffe, hop.roots), check=False)
        expect(asked.returncode != 0 and "held" not in asked.stdout, f"{app.name} was served by the hub's part of product {other}")
        held = [line for line in app.call("raw", "--wait", "2") if line["event"] == "held"]
        expect(held, f"{app.name} gets nothing at its own part of the hub either: the refusal proves nothing")
        expect(len(stranger.devices[bulb].process.log.find("command_done")) == done, f"{bulb} obeyed {app.name}")
        told.append(f"{app.name} switches {own}; of {bulb}: {sent.stderr.strip().splitlines()[-1]}")
    return "; ".join(told)


@assertion("S2.4")
def another_hub_takes_over(run):
    wired, owner = run.wired, run.wired.products["A"]
    streams = {device: owner.watch.records("readings", device)[-1]["stream"] for device in owner.devices}
    processes = {name: wired.process(name).popen.pid for name in (*owner.devices, "mobile")}
    before = (owner.app.call("members"), demo_keys.of_phone("mobile", owner.app.state, owner.app.recovery))
    wired.process("hub-a").kill()
    run.ended_on_purpose.add("hub-a")
    spare = wired.hops["hub-a-spare"]
    repoint(wired.equipment["router"], {"bulbs-a": spare.address, "app-a": spare.address})
    run.ended_on_purpose.add("router")
    run.new_readings(patience=60)
    now = {device: owner.watch.records("readings", device)[-1]["stream"] for device in owner.devices}
    expect(now == streams, f"streams were {streams} and are {now}")
    expect({name: wired.process(name).popen.pid for name in processes} == processes, "a process was restarted")
    after = (owner.app.call("members"), demo_keys.of_phone("mobile", owner.app.state, owner.app.recovery))
    expect(after == before, "members, epoch or keys changed")
    stored = list(pathlib.Path(wired.state_of("hub-a-spare")).rglob("*"))
    return f"over the other hub ({len(stored)} files of its own) the readings of {', '.join(sorted(now))} go on in the same streams, with the same {len(before[1])} keys"


@assertion("S2.8a")
def other_apps_read_nothing(run):
    if os.geteuid() != 0:
        raise CannotRun("only root can act as another user here")
    state = pathlib.Path(run.wired.apps["mobile"].state)
    with tempfile.TemporaryDirectory(prefix="keystead-phone-") as phone:
        os.chmod(phone, 0o755)
        sandbox, loose = pathlib.Path(phone, "app"), pathlib.Path(phone, "loose")
        shutil.copytree(state, sandbox, copy_function=shutil.copy2)
        loose.mkdir(mode=0o755)
        files = [path for path in sorted(state.rglob("*")) if path.is_file()]
        for path in files:  # each also outside of its folder: the folder's mode must not be all that protects them
            shutil.copy2(path, loose / path.name)
        public = pathlib.Path(phone, "public")
        public.write_text("open to all", encoding="ascii")
        public.chmod(0o644)

        def other_user_reads(path):
            return subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "cat", str(path)],
                                  capture_output=True, check=False, timeout=20).returncode == 0
        expect(other_user_reads(public), "the other user cannot even read what is open to all")
        with_keys = [path for path in files if path.name == "member"]
        expect(with_keys, "the app's folder has no file with keys")
        read = [path.name for path in (*sandbox.rglob("*"), *loose.iterdir()) if path.is_file() and other_user_reads(path)]
    expect(not read, f"another user reads {', '.join(read)}")
    modes = {oct(stat.S_IMODE(path.stat().st_mode)) for path in files}
    return f"{len(files)} files (modes {', '.join(sorted(modes))}) in a folder of mode {oct(stat.S_IMODE(state.stat().st_mode))}: none is read by another user"
