"""How Sphinx builds the documentation: `make docs`."""

from broker.release import FORETELL

project, author, release = "Foretell", "the authors of Foretell", FORETELL
copyright = "the authors of Foretell"  # noqa: A001 - Sphinx calls it so
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples/*.ipynb"]
html_theme = "furo"
html_title = f"Foretell {FORETELL}"
html_static_path = ["static"]
html_css_files = ["site.css"]
myst_heading_anchors = 4
napoleon_google_docstring = True
autodoc_typehints = "signature"
default_role = "code"
