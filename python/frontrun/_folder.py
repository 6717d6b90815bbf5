"""A folder that can be put back as it was."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

_Entry = tuple[int, bytes | str | None]


class Folder:
    """What lies in a folder now: folders, files with their content, symbolic links."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = self._read()

    def restore(self) -> None:
        """Put it back as it was. What has not changed is not touched."""
        now = self._read()
        for path in sorted(now.keys() - self._entries.keys(), reverse=True):
            self._remove(path)
        for path, entry in sorted(self._entries.items()):
            if now.get(path) != entry:
                if path in now:
                    self._remove(path)
                self._make(path, *entry)

    def _read(self) -> dict[Path, _Entry]:
        entries: dict[Path, _Entry] = {}
        for folder, folders, files in os.walk(self._path):
            for name in folders + files:
                path = Path(folder, name)
                mode = path.lstat().st_mode
                content: bytes | str | None = None
                if stat.S_ISLNK(mode):
                    content = os.readlink(path)
                elif stat.S_ISREG(mode):
                    content = path.read_bytes()
                entries[path] = (mode, content)
        return entries

    @staticmethod
    def _remove(path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    @staticmethod
    def _make(path: Path, mode: int, content: bytes | str | None) -> None:
        if isinstance(content, str):
            path.symlink_to(content)
            return
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.mkdir()
        path.chmod(stat.S_IMODE(mode))
