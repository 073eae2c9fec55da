"""The file, byte by byte: a safetensors file, which holds nothing but a header and numbers.

The header's ``__metadata__`` carries one JSON document; it opens with the name of the format and the SHA-256
digest of the whole file, taken with the digest's own 64 characters blanked. That opening is the same in every
version.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ppl_gen.errors import DamagedFile, ForeignFile, NewerFile

VERSION = 1  # of the format
BLANK = b"0" * 64  # stands for the digest while it is taken
OPENING = b'{"__metadata__":{"ppl_gen":"{\\"format\\":\\"ppl-gen posterior\\",\\"sha256\\":\\"'
DIGEST = slice(8 + len(OPENING), 8 + len(OPENING) + len(BLANK))  # after the header's length, 8 bytes


def packed(document: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """The content of the file that holds these."""
    import ppl_gen  # whose __init__ imports this file

    head: dict[str, Any] = {"format": "ppl-gen posterior", "sha256": BLANK.decode()}
    head |= {"version": VERSION, "ppl_gen": ppl_gen.__version__, "torch": str(torch.__version__)}
    text = json.dumps({**head, **document}, separators=(",", ":"))
    own = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    content = safetensors.torch.save(own, {"ppl_gen": text})
    return content[: DIGEST.start] + digest(content) + content[DIGEST.stop :]


def digest(content: bytes) -> bytes:
    """The SHA-256 digest of a content with its own place blanked, in hexadecimal digits."""
    sha, view = hashlib.sha256(), memoryview(content)
    for piece in (view[: DIGEST.start], BLANK, view[DIGEST.stop :]):
        sha.update(piece)
    return sha.hexdigest().encode()


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The document and the tensors of a whole file; what is not ours is not read beyond its opening."""
    damaged = DamagedFile(
        f"{os.fspath(path)}: it is truncated, or was altered after it was written (its SHA-256 digest does "
        f"not fit). Take a copy of it, or fit again."
    )
    with open(path, "rb") as file:
        start = file.read(DIGEST.start)
        opening = start[8:]
        wrong = sum(a != b for a, b in zip(opening, OPENING, strict=False))
        if not opening or wrong > (len(opening) == len(OPENING)):  # one wrong byte is damage
            raise ForeignFile(f"{os.fspath(path)}: save did not write this file; nothing in it was run")
        size, length = os.fstat(file.fileno()).st_size, int.from_bytes(start[:8], "little")
        if length > size - 8:
            raise damaged
        file.seek(0)
        content = file.read()
    if digest(content) != content[DIGEST]:
        raise damaged
    try:
        document = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["ppl_gen"])
        version, writer = document["version"], document["ppl_gen"]
        if version <= VERSION:
            return document, safetensors.torch.load(content)
    except Exception as error:
        raise ForeignFile(f"{os.fspath(path)}: its header cannot be read: {error}") from error
    raise NewerFile(
        f"{os.fspath(path)}: ppl-gen {writer} wrote it in format {version}; this version reads formats up to "
        f"{VERSION}. Upgrade ppl-gen."
    )
