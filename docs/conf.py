"""Sphinx's settings. The site is built with ``make docs``: every warning is an error, nothing is fetched.

https://www.sphinx-doc.org/en/master/usage/configuration.html, https://myst-parser.readthedocs.io
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

# A build keeps nearly all that it makes: looking for garbage finds none, and takes a sixth of its time.
gc.disable()

project = "d365-graphql-gateway"
author = "The authors of d365-graphql-gateway"
copyright = "MIT license"  # noqa: A001 - Sphinx's name
html_title = "d365-graphql-gateway"

extensions = ["myst_parser", "from_code"]
exclude_patterns = ["_ext", "_static", "_build"]
nitpicky = True
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4
smartquotes = False  # options keep their two hyphens
# Pygments' GraphQL lexer knows neither type definitions nor directives of variables; the tests validate every block.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
# A page of the site opens from a folder, without a server: directories would need one for their index.
html_use_index = False
html_theme_options = {"navigation_with_keys": False}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
