"""What an adversary has: copies of exactly the files that the scenario's file grants, in a folder of its own, and the control of
exactly the equipment where it stands. An assertion reaches both through this and has nothing else."""

import os
import pathlib
import shutil

import paths  # noqa: F401
from certificate import named_in
from product import Leaf


class NotGranted(Exception):
    """An assertion wanted of an adversary what the file does not give it: the assertion is wrong, or the file."""


class Adversary:
    """`sources`: (process, what) → paths, or a function that writes what there is into a folder. `positions`: equipment by name."""

    def __init__(self, name, granted, folder, sources, positions):
        self.name = name
        self.granted = granted
        self.folder = pathlib.Path(folder) / name
        self._sources = sources
        self._positions = positions
        self.folder.mkdir(parents=True, mode=0o700, exist_ok=False)

    def position(self, name):
        if name not in self.granted.get("positions", []):
            raise NotGranted(f"{self.name} does not stand at {name}")
        return self._positions[name]

    def take(self, process, what):
        """A fresh copy of what is granted of a process; its folder. A running process may change its files meanwhile: what is
        gone when its turn comes is left out."""
        if what not in self.granted.get("files", {}).get(process, []):
            raise NotGranted(f"{self.name} is not granted the {what} of {process}")
        target = self.folder / process / what
        if target.exists():
            shutil.rmtree(target)
        target.mkdir(parents=True, mode=0o700)
        source = self._sources(process, what)
        if callable(source):
            source(target)
        else:
            for path in source:
                copy(pathlib.Path(path), target)
        return target

    def leaf(self, process):
        """Certificate and key of a process as they were copied, for programs of the thief's."""
        chain, key = (str(self.take(process, what) / f"{name}.pem") for what, name in (("certificate", "chain"), ("key", "key")))
        leaf = Leaf("", named_in(chain))
        leaf.chain, leaf.key = chain, key
        return leaf

    def take_all(self):
        return [self.take(process, what) for process, kinds in self.granted.get("files", {}).items() for what in kinds
                if what != "machine"]

    def machine(self, process):
        """The process itself and where its store and keystore lie, to do with as one likes."""
        if "machine" not in self.granted.get("files", {}).get(process, []):
            raise NotGranted(f"{self.name} is not granted the machine of {process}")
        return self._sources(process, "machine")


def copy(path, target):
    """Regular files alone: a link could lead to what is not granted. They are its taker's alone, as programs want keys and states."""
    if path.is_symlink():
        return
    if path.is_dir():
        for folder, names, files in os.walk(path, followlinks=False):
            names[:] = [name for name in names if not (pathlib.Path(folder) / name).is_symlink()]
            inside = target / path.name / pathlib.Path(folder).relative_to(path)
            inside.mkdir(mode=0o700, exist_ok=True)
            for name in files:
                copy_one(pathlib.Path(folder) / name, inside / name)
    else:
        copy_one(path, target / path.name)


def copy_one(path, target):
    if path.is_symlink() or not path.is_file():
        return
    try:
        shutil.copyfile(path, target)
        target.chmod(0o600)
    except FileNotFoundError:
        pass
