"""Files of tensors and a JSON document that no altered byte slips through: a header and numbers, no code.

They are safetensors files. The header's ``__metadata__`` carries the document; it opens with the name of the
format and the SHA-256 digest of the whole file, taken with the digest's own 64 characters blanked. That
opening is the same in every version of a format.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ppl_gen.errors import DamagedFile, ForeignFile, NewerFile

BLANK = b"0" * 64  # stands for the digest while it is taken


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        name: what the file calls itself.
        version: the newest that can be read.
        foreign: what is said of another kind of file. damaged: what to do about an altered one.
    """

    name: str
    version: int
    foreign: str
    damaged: str

    @property
    def opening(self) -> bytes:
        """What every file of this kind has after the header's length, 8 bytes."""
        inner = '{\\"format\\":\\"' + self.name + '\\",\\"sha256\\":\\"'
        return b'{"__metadata__":{"ppl_gen":"' + inner.encode()

    @property
    def place(self) -> slice:
        """Where the digest stands."""
        start = 8 + len(self.opening)
        return slice(start, start + len(BLANK))

    def packed(self, document: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
        """The content of the file that holds these."""
        import ppl_gen  # whose __init__ imports this file

        head: dict[str, Any] = {"format": self.name, "sha256": BLANK.decode()}
        head |= {"version": self.version, "ppl_gen": ppl_gen.__version__, "torch": str(torch.__version__)}
        text = json.dumps({**head, **document}, separators=(",", ":"))
        own = {
            name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()
        }
        content = safetensors.torch.save(own, {"ppl_gen": text})
        return content[: self.place.start] + self.digest(content) + content[self.place.stop :]

    def digest(self, content: bytes) -> bytes:
        """The SHA-256 digest of a content with its own place blanked, in hexadecimal digits."""
        sha, view = hashlib.sha256(), memoryview(content)
        for piece in (view[: self.place.start], BLANK, view[self.place.stop :]):
            sha.update(piece)
        return sha.hexdigest().encode()

    def recognise(self, path: str | os.PathLike[str]) -> None:
        """Refuse a file that does not open as this kind does; nothing more of it is read.

        Raises:
            ForeignFile: it is of another kind.
        """
        with open(path, "rb") as file:
            found = file.read(self.place.start)[8:]
        wrong = sum(a != b for a, b in zip(found, self.opening, strict=False))
        if not found or wrong > (len(found) == len(self.opening)):  # one wrong byte is damage
            raise ForeignFile(f"{os.fspath(path)}: {self.foreign}")

    def read(self, path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The document and the tensors of a whole file.

        Raises:
            ForeignFile, DamagedFile, NewerFile: it is another kind, was altered, or is of a later version.
        """
        damaged = DamagedFile(
            f"{os.fspath(path)}: it is truncated, or was altered after it was written (its SHA-256 digest "
            f"does not fit). {self.damaged}"
        )
        self.recognise(path)
        with open(path, "rb") as file:
            size, length = os.fstat(file.fileno()).st_size, int.from_bytes(file.read(8), "little")
            if length > size - 8:
                raise damaged
            file.seek(0)
            content = file.read()
        if self.digest(content) != content[self.place]:
            raise damaged
        try:
            document = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["ppl_gen"])
            version, writer = document["version"], document["ppl_gen"]
            if version <= self.version:
                return document, safetensors.torch.load(content)
        except Exception as error:
            raise ForeignFile(f"{os.fspath(path)}: its header cannot be read: {error}") from error
        raise NewerFile(
            f"{os.fspath(path)}: ppl-gen {writer} wrote it in format {version}; this version reads formats "
            f"up to {self.version}. Upgrade ppl-gen."
        )
