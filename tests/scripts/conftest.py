import sys
from pathlib import Path

SCRIPTS = str(Path(__file__).parents[2] / "scripts")
# At the end, so that no script hides a library's module from other tests.
if SCRIPTS not in sys.path:
    sys.path.append(SCRIPTS)
