"""What the demonstration shows on the terminal, and what it checked. Colours only on a terminal. With a `story`, a file, that file has all of
it, and the terminal only what failed and how it ended."""

import sys
import textwrap
import time

WIDTH = 110


class Screen:
    def __init__(self, story=None):
        self._story = open(story, "w", encoding="utf-8") if story else None
        self.colours = sys.stdout.isatty() and not story
        self.started = time.monotonic()
        self._stage = 0

    def _paint(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text

    def good(self, text):
        return self._paint("32", text)

    def bad(self, text):
        return self._paint("1;31", text)

    def dim(self, text):
        return self._paint("2", text)

    def line(self, text="", always=False):
        if self._story:
            print(text, file=self._story, flush=True)
        if always or not self._story:
            print(text, flush=True)

    def stage(self, title, why):
        self._stage += 1
        elapsed = f"{time.monotonic() - self.started:5.1f} s"
        self.line()
        self.line(self._paint("1", f"{self._stage}. {title}") + self.dim(f"  ({elapsed.strip()})"))
        for line in textwrap.wrap(why, WIDTH - 3):
            self.line("   " + line)

    def _wrapped(self, first, text, always=False):
        """`text` behind `first`, further lines under its beginning."""
        lines = textwrap.wrap(text, WIDTH - 8, break_long_words=False, break_on_hyphens=False) or [""]
        self.line(first + lines[0], always)
        for line in lines[1:]:
            self.line(" " * 9 + line, always)

    def say(self, text):
        self._wrapped("   - ", text)

    def verdict(self, passed, name, text):
        self._wrapped(f"   {self.good('pass') if passed else self.bad('FAIL')}  {name}: ", text, always=not passed)

    def table(self, heads, rows, indent=3):
        """Left-aligned columns."""
        widths = [max(len(str(row[i])) for row in [heads, *rows]) for i in range(len(heads))]
        for number, row in enumerate([heads, *rows]):
            text = "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip()
            self.line(" " * indent + (self._paint("1", text) if number == 0 else text))


class Assertions:
    """Named once, checked once; the names are stable."""

    def __init__(self, screen):
        self.screen = screen
        self.results = {}

    def check(self, name, passed, text):
        passed = bool(passed)
        if name in self.results:  # checked at several places: all must hold
            earlier, _ = self.results[name]
            passed_now = passed and earlier
        else:
            passed_now = passed
        self.results[name] = (passed_now, text)
        self.screen.verdict(passed, name, text)
        return passed

    def failed(self):
        return [name for name, (passed, _) in self.results.items() if not passed]
