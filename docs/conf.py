"""How Sphinx builds the documentation, without asking the network for anything."""

from __future__ import annotations

import kit

project = "Framekit"
author = "The Framekit authors"
project_copyright = "The Framekit authors. BSD-3-Clause"
version = release = kit.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "reference/generated"]  # those are included by pages
default_role = "py:obj"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = f"Framekit {release}"
html_show_sphinx = False
