"""Looking for planted texts where they must not be: in files and in the memory of running processes.

A text is looked for raw, in hex of both cases and in base64 of both alphabets, at each of the three alignments that a text
can have inside a longer one. Only processes that the demonstration started are looked into."""

import base64
import os
import pathlib

ZEROS = bytes(1 << 18)
# What hex and base64 are written in. All other bytes are left out before those forms are looked for: what stood together
# still does, and a small part of a process's memory remains. What seems to be there is looked for again in all of it.
WRITTEN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-")
UNWRITTEN = bytes(byte for byte in range(256) if byte not in WRITTEN)


def forms(text):
    """Form → needles."""
    raw = text if isinstance(text, bytes) else text.encode()
    needles = {"raw": [raw], "hex": [raw.hex().encode(), raw.hex().upper().encode()], "base64": []}
    for shift in range(3):
        # Only the characters that no neighbouring byte can change: from the first whole group on, to the last.
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + raw + b"\0" * (-(shift + len(raw)) % 3))
            begin = (shift * 8 + 5) // 6
            end = (shift + len(raw)) * 8 // 6
            needle = whole[begin:end]
            if needle not in needles["base64"]:
                needles["base64"].append(needle)
    return needles


class Search:
    """`canaries`: name → text or bytes. Each hit is (where, canary name, form)."""

    def __init__(self, canaries):
        self.needles = [(name, form, needle) for name, text in canaries.items()
                        for form, found in forms(text).items() for needle in found]
        self.overlap = max((len(needle) for _, _, needle in self.needles), default=1) - 1
        self.bytes = 0

    def in_bytes(self, data, where):
        self.bytes += len(data)
        written = data.translate(None, UNWRITTEN)
        return {(where, name, form) for name, form, needle in self.needles
                if needle in (data if form == "raw" else written) and needle in data}

    def in_stream(self, read, where, chunk=8 << 20):
        """Chunk by chunk, with an overlap, so that no needle falls between two."""
        hits, rest = set(), b""
        while True:
            data = read(chunk)
            if not data:
                return hits
            hits |= self.in_bytes(rest + data, where)
            self.bytes -= len(rest)
            rest = data[-self.overlap:] if self.overlap else b""

    def in_files(self, folder, where=None):
        hits = set()
        paths = [folder] if pathlib.Path(folder).is_file() else \
            [path for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file() and not path.is_symlink()]
        for path in paths:
            try:
                with open(path, "rb") as file:
                    hits |= self.in_stream(file.read, where or str(path))
            except OSError:
                continue  # a store replaces its files while it runs: what is gone holds nothing
        return hits

    def in_memory(self, pid, where):
        """All that process `pid` holds in private or anonymous memory, its stacks and heaps."""
        hits, rest = set(), b""
        for follows, data in pages(pid):
            if not follows:
                rest = b""
            hits |= self.in_bytes(rest + data, where)
            self.bytes -= len(rest)
            rest = data[-self.overlap:] if self.overlap else b""
        return hits


def pages(pid):
    """(whether it follows on what came before, data), piece by piece, of what process `pid` holds in private or anonymous memory;
    what was never used is left out."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
        maps = file.read().splitlines()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            fields = line.split(None, 5)
            name = fields[5] if len(fields) > 5 else ""
            if "r" not in fields[1] or name.startswith(("[vvar", "[vdso", "[vsyscall")):
                continue
            if "w" not in fields[1] and name:
                continue  # the program's own text: nothing gets there at run time
            begin, end = (int(part, 16) for part in fields[0].split("-"))
            follows = False
            while begin < end:
                try:
                    data = os.pread(memory.fileno(), min(len(ZEROS), end - begin), begin)
                except OSError:
                    break  # given back meanwhile, or never touched
                if not data:
                    break
                begin += len(data)
                if data == ZEROS:  # most of what threads reserve as stacks was never used
                    follows = False
                    continue
                yield follows, data
                follows = True
