"""Where the LD_PRELOAD library is."""

from __future__ import annotations

import sys
from pathlib import Path


def library_path() -> Path:
    """Return the path of the library, which is always installed beside this file."""
    suffix = "dylib" if sys.platform == "darwin" else "so"
    path = Path(__file__).with_name(f"libfrontrun_io.{suffix}")
    if not path.exists():
        message = f"{path} is missing: reinstall frontrun (`pip install .` builds it)"
        raise FileNotFoundError(message)
    return path
