"""How Sphinx makes the documentation site: ``sphinx-build -W docs build/site``, where a warning is an error."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import interpjax

project = "interpjax"
author = "the interpjax developers"
release = version = interpjax.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
html_theme = "furo"
html_title = f"interpjax {release}"
html_copy_source = html_show_copyright = False
myst_heading_anchors = 4  # so that page.md#a-heading leads where it does on GitHub
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes as a list, for autodoc would tell of them twice
