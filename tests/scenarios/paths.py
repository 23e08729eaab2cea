"""Where the modules are that this folder builds upon: importing this makes them importable."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in (ROOT / "tests/e2e", ROOT / "scripts/lib", ROOT / "tests/scenarios"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
