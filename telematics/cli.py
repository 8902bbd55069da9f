"""``python -m telematics COMMAND``: one module per command in ``telematics.commands``."""

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "command": "ask a terminal for something through the running gateway",
    "decode": "read hex frames, one a line, print one JSON object a line",
    "segment": "read a track file, print its trips, stops and rejected fixes as JSON",
    "replay": "send a track file to a gateway as a real terminal would",
    "serve": "run the GPS gateway",
    "write": "take positions from the stream of the gateways into the database",
    "upstream": "forward positions to a superior platform (JT/T 809)",
    "simulate": "drive virtual terminals against a gateway, check what they wrote down",
    "archive": "write closed days to Parquet files",
    "restore": "bring an archived day back",
    "warm": "compile the inner loops, once after installing",
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
