"""Sphinx's settings. `make docs` builds the site without a network; warnings are errors."""

import sys
from pathlib import Path

import ppl_gen

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]  # extension, tests.readme

project = "ppl-gen"
author = "The ppl-gen developers"
copyright = "the ppl-gen developers, Apache-2.0"
release = version = ppl_gen.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "extension"]
exclude_patterns = ["_build", "extension", "**.ipynb_checkpoints"]
nitpicky = True
default_role = "name"
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries = False

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
myst_links_external_new_tab = False

nb_execution_mode = "force"  # a cache would not see that the library changed
nb_execution_raise_on_error = True
nb_execution_excludepatterns = ["tutorials/*"]  # they were executed where they were written
nb_execution_timeout = 120
nb_merge_streams = True
nb_ipywidgets_js = {}  # by default fetched from the network

autosummary_generate = False
autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_custom_sections = ["Source", "Reference", ("Attributes", "params_style")]

html_theme = "furo"
html_title = "ppl-gen"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1d5bb5", "color-brand-content": "#1d5bb5"},
    "dark_css_variables": {"color-brand-primary": "#7db1ff", "color-brand-content": "#7db1ff"},
    "top_of_page_buttons": [],
}
pygments_style = "tango"
pygments_dark_style = "github-dark"
