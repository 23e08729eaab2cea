"""Where the modules of tests/scenarios are: importing this makes them importable."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "tests/scenarios"
HERE = pathlib.Path(__file__).resolve().parent
for folder in (SCENARIOS, HERE):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
