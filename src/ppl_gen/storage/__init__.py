"""The verbs `save` and `load`: a posterior as one file, without pickle.

Nothing in a file is executed, and no name in it is imported: classes are looked up among those of ppl_gen,
Pyro's automatic guides and torch.optim. Code of your own is passed to `load`, which brings its tensors.

`layout` is the file byte by byte, `values` and `modules` are what is in it; `saving` and `loading` go from a
posterior to these and back.
"""

from ppl_gen.storage.loading import load
from ppl_gen.storage.saving import save

__all__ = ["load", "save"]
