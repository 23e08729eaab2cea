"""The machine of a backend in the hands of whoever hosts it: tests/hostile_host on a store that runs or is stopped."""

import json
import shutil

import product
from harness import Failure

TRIES = 20


def looking(look):
    """What `look` answers of a store that may be running: one that exchanges its files while it is being opened is looked at again."""
    for _ in range(TRIES - 1):
        try:
            return look()
        except Failure:
            pass
    return look()


class Host:
    """`store` and `keystore` are the backend's own folders; `process` is the backend."""

    def __init__(self, stack, process, store, keystore):
        self.stack = stack
        self.process = process
        self.store = store
        self.keystore = keystore

    def call(self, *words, store=None, keystore=None, orders=None, patience=60):
        """One run of keystead-hostile-host; what it printed."""
        return self.stack.run("keystead-hostile-host", "--quiet", "--store", store or self.store, "--keystore", keystore or self.keystore,
                              *words, patience=patience, input=orders).stdout

    def opened_with(self, keys):
        """What keystead-stolen-keys opens of all records with every key in the folder `keys`."""
        return json.loads(looking(lambda: self.stack.run("keystead-stolen-keys", "--quiet", "open", "--store", self.store, "--keystore",
                                                         self.keystore, "--keys", keys, patience=90)).stdout)

    def records(self, **where):
        """Every record as the host sees it: where it stands, and its digest."""
        return [json.loads(line) for line in looking(lambda: self.call("list", **where)).splitlines()]

    def fields(self):
        """Which tables have rows and which fields of groups are set: {"tables": …, "fields": …, "closed": groups that do not open}."""
        return json.loads(looking(lambda: self.call("fields")))

    def content(self, name, *words, **where):
        """A file of all groups, as they are once the encryption at rest is off; `words` may name a backup."""
        path = self.stack.path(f"{name}.content")
        looking(lambda: self.call("read", "--to", path, *words, **where))
        return path

    def stop(self):
        """As a host does it: everybody else notices a connection that ended."""
        product.pin_port(self.process, "grpc")
        self.process.terminate(30)

    def start(self):
        self.process.relaunch()

    def manipulate(self, orders, seed):
        """Does them with the backend stopped; one entry per record that is no longer what it was."""
        text = "".join(json.dumps(order) + "\n" for order in orders)
        return [json.loads(line) for line in self.call("play", "--seed", str(seed), orders=text).splitlines()]

    def copy(self, name):
        """Store and keystore as they are, beside."""
        folder = self.stack.path(name)
        self.call("copy", "--to", folder)
        shutil.copytree(self.keystore, f"{folder}.keys")
        return folder

    def restore(self, folder):
        """The store goes back to a copy; one entry per record that is gone."""
        return [json.loads(line) for line in self.call("restore", "--from", folder).splitlines()]
