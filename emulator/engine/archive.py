"""Files as the engine takes them into a container: a tar archive, unpacked at its root.

Directories are not in it: the engine makes those that are missing, open to all, and one that is
there would get the archive's owner and rights.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from emulator.engine.base import Executable


def archive(files: Mapping[str, bytes]) -> bytes:
    """Root's files by their absolute paths."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(content)
            entry.mode = 0o755 if isinstance(content, Executable) else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
