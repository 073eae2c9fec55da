"""Files are written whole: whoever reads one sees the old one or the new one, never a part."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = re.compile(r"\.[0-9a-f]{16}\.part")  # the name of a file that is being written


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path beside ``target`` to write to. What is there is forced to the disk, then takes target's name.

    After an error nothing is left of it, and ``target`` is as it was.
    """
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield part
        with open(part, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
    except OSError as error:  # a full disk names no file, and nobody knows the part
        raise OSError(error.errno, error.strerror or str(error), str(target)) from error
    finally:
        part.unlink(missing_ok=True)
    with suppress(OSError):  # the name, too; not every system lets a folder be opened
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def replace_file(target: Path, content: str | bytes) -> None:
    """Write a file all at once."""
    with replacing(target) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
