"""The command ``frontrun``."""

from __future__ import annotations

import sys

from ._core import cli_main
from ._preload import library_path


def main() -> int:
    """Run the command line and return its exit code."""
    return cli_main(["frontrun", *sys.argv[1:]], sys.executable, str(library_path()))


if __name__ == "__main__":
    sys.exit(main())
