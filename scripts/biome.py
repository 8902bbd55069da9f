"""Check our own scripts and style sheets with biome, with whichever Node.js set-up chose."""

import subprocess

from plain import ROOT, run_main
from setup import with_node


def main() -> int:
    return subprocess.call(["node_modules/.bin/biome", "check"], cwd=ROOT, env=with_node())


if __name__ == "__main__":
    run_main(main)
