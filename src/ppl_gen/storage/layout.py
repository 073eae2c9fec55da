"""The file of a posterior, byte by byte: sealed, see `ppl_gen.sealed`."""

from ppl_gen.sealed import Format

VERSION = 1  # of the format
POSTERIOR = Format(
    "ppl-gen posterior",
    VERSION,
    foreign="save did not write this file; nothing in it was run",
    damaged="Take a copy of it, or fit again.",
)
DIGEST = POSTERIOR.place
digest, packed, read = POSTERIOR.digest, POSTERIOR.packed, POSTERIOR.read
