"""The keys of a scenario's products, so that the search can look for them where they must not be."""

import pathlib

import paths  # noqa: F401
import demo_keys
from demo_canary import Search
from demo_stages import setup_code
from home import relabel
from registry import expect


def keys_of_product(owner):
    """Name → every key that the owner's app holds, those that follow from its secret, and the setup codes on the labels of its devices."""
    keys = demo_keys.of_phone(owner.app.name, owner.app.state, owner.app.recovery)
    keys |= demo_keys.derived(owner.app.state, bytes.fromhex(owner.instantiation), writers(owner))
    for device in owner.devices.values():
        keys[f"setup code of {device.name}"] = setup_code(relabel(pathlib.Path(device.label).read_text(encoding="ascii")))
    return keys


def writers(owner):
    """Topic → the ids of the members who may write in it."""
    found = {}
    for member in owner.app.call("members")[0]["members"]:
        for right in member["rights"]:
            if right["write"]:
                found.setdefault(right["topic"], []).append(bytes.fromhex(member["member"]))
    return found


def keys_of(run):
    """The same of all products."""
    keys = {}
    for owner in run.wired.products.values():
        keys |= keys_of_product(owner)
    return keys


def ring_of(owner, folder, state=None):
    """The keys of an instantiation as its owner's phone, or an app with another `state`, keeps them, as a file in `folder` that
    keystead-stolen-keys reads."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{owner.instantiation}.ring"
    path.write_bytes(demo_keys.kept_member(state or owner.app.state)[7])
    path.chmod(0o600)


def held_keys(app):
    """(epoch secret, {topic: reading key}, topics of single senders' keys) that an app keeps: who is no full member has no secret."""
    return keys_of_ring(demo_keys.kept_member(app.state)[7])


def keys_in(member):
    """The same of a member as it is kept, whoever keeps it."""
    return keys_of_ring(demo_keys.decode(member)[0][7])


def keys_of_ring(ring):
    _, secret, topics, senders = demo_keys.decode(ring)[0]
    return secret, dict(topics), {topic for _, topic, _, _ in senders}


def hits_in(folders, search):
    """{(whose folder, what, form)} of all that a Search finds in what an adversary took."""
    return {(folder.parent.name, what, form) for folder in folders for _, what, form in search.in_files(folder)}


def holds_nothing(run, adversary, folders, keys, app, unprotected):
    """NotMet when what an adversary took shows the planted text or one of `keys`, or when the same search cannot see: the signing key in
    `app` itself, and the text with sealing off at each of `unprotected`. (bytes searched, how many of the keys `app` shows)."""
    search = Search({"planted text": run.wired.canary.untold, **keys})
    hits = hits_in(folders, search)
    searched = search.bytes
    own = {what for _, what, _ in search.in_files(app.state, app.name)}
    expect(any(what.startswith(f"signing key of {app.name}") for what in own), "the search does not find the phone's keys in the phone itself")
    for name in unprotected:
        expect(name in run.control.measured.readers(), f"with sealing off the search finds nothing in {name}")
    expect(not hits, f"{adversary} has {', '.join(sorted(f'{what} ({form}) from {place}' for place, what, form in hits))}")
    return searched, len(own)
