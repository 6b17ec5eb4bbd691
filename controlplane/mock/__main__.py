"""`python -m controlplane.mock --port N [--port-file FILE]`: the mock provider as a process of its own."""

import argparse
import sys
from pathlib import Path

from controlplane.mock.server import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="portcullis mock", description="A provider that answers as it is told.")
    parser.add_argument("--port", type=int, default=9901, help="port on loopback; 0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="file that gets the port's number once it listens")
    arguments = parser.parse_args()
    sys.exit(main(arguments.port, arguments.port_file))
