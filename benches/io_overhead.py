"""What the I/O library adds to calls of a program that is not under control, side by side with libc's own functions."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from frontrun._preload import library_path


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "io_overhead")
        source = Path(__file__).with_suffix(".c")
        subprocess.run(["cc", "-O2", "-o", program, source, "-ldl"], check=True)
        environment = os.environ | {"LD_PRELOAD": str(library_path())}
        for title, arguments in (("nobody listens", []), ("others are listened to", ["listened"])):
            done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=True)
            print(f"nanoseconds of CPU time a call, the fastest round: {title}")
            print(f"{'function':14} {'plain':>8} {'hooked':>8} {'added':>8}")
            for line in done.stdout.splitlines():
                name, *figures = line.split()
                print(f"{name:14} " + " ".join(f"{float(figure):8.1f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
