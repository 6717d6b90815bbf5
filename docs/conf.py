"""How the documentation is built: `make docs`."""

import frontrun

project = "frontrun"
version = release = frontrun.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = f"frontrun {release}"
