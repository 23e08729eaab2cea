"""The keys of a scenario's products, so that the search can look for them where they must not be."""

import pathlib

import paths  # noqa: F401
import demo_keys
from demo_stages import setup_code
from home import relabel


def keys_of_product(owner):
    """Name → every key that the owner's app holds, and the setup codes on the labels of its devices."""
    keys = demo_keys.of_phone(owner.app.name, owner.app.state, owner.app.recovery)
    for device in owner.devices.values():
        keys[f"setup code of {device.name}"] = setup_code(relabel(pathlib.Path(device.label).read_text(encoding="ascii")))
    return keys


def keys_of(run):
    """The same of all products."""
    keys = {}
    for owner in run.wired.products.values():
        keys |= keys_of_product(owner)
    return keys
