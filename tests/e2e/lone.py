"""A device without a home as a process: its buttons and its display are all there is of it to the outside."""

import subprocess

from harness import HERE, JsonLog, wait_until


class Lone:
    """`options`: what it measures. Runs until asked to end; restart() is what pulling its plug gently and putting it back is."""

    def __init__(self, stack, name, *options, place=HERE):
        self.stack = stack
        self.name = name
        self.state = stack.path(f"{name}-state")
        identity = () if "--id" in options else ("--id", name)
        self.process = stack.start(name, "keystead-device-sim", "--alone", "--display", "--buttons", "--state", self.state, *identity, *options,
                                   stdin=subprocess.PIPE, place=place)
        self.display = JsonLog(self.process.output)
        stack.on_close(self._close)

    def _close(self):
        self.process.popen.stdin.close()

    def press(self, operation):
        self.process.popen.stdin.write(f"{operation}\n".encode("ascii"))
        self.process.popen.stdin.flush()

    def shown(self, predicate=None, start=0, patience=None):
        """The first values on the display from `start` on that satisfy the predicate."""
        wanted = None if predicate is None else lambda entry: predicate(entry["values"])
        return self.display.wait_for("shows", wanted, patience, start, self.process)["values"]

    def new_shown(self, count=2, patience=40):
        """Until the display changed so often from here on."""
        mark = self.display.mark()
        found = self.display.matching("shows", None, mark)
        wait_until(lambda: len(found()) >= count, f"{count} readings on the display of {self.name}", patience)

    def restart(self, *options):
        """Ended by itself, then started again with these options besides; what it then says it has kept."""
        self.process.terminate(30)
        self._close()
        mark, before = self.display.mark(), self.process.command
        self.process.command = [*before, *options]
        self.process.relaunch()
        self.process.command = before
        return self.display.wait_for("kept", None, None, mark, self.process)
