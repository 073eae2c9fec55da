"""Run by each kernel as it starts: figures are shown as SVG in the page's own colours, light or dark."""

from IPython import get_ipython
from matplotlib.figure import Figure

from ppl_gen.plot import inline

get_ipython().display_formatter.formatters["text/html"].for_type(Figure, inline)
