"""``python -m telematics serve|replay|decode|segment``: one module per command in ``telematics.commands``."""

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "decode": "read hex frames, one a line, print one JSON object a line",
    "segment": "read a track file, print its trips, stops and rejected fixes as JSON",
    "replay": "send a track file to a gateway as a real terminal would",
    "serve": "run the GPS gateway",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m telematics", description="GPS gateway and track tools.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    words = list(sys.argv[1:] if argv is None else argv)
    for name, summary in COMMANDS.items():
        if words[:1] != [name]:
            commands.add_parser(name, help=summary)
            continue
        # Only the command asked for is imported: decoding a line needs neither numpy nor a database driver.
        module = importlib.import_module(f"telematics.commands.{name}")
        command = commands.add_parser(
            name, help=summary, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    args = parser.parse_args(words)
    status: int = args.run(args)
    return status
