"""Settings of the book: Sphinx reads the README, the notebooks as they were executed, and the package's docstrings.

``notebooks/build.py`` calls it; the sources are the project's folder, so that each link is one that works on a code
host, too.
"""

import sys
from pathlib import Path

import serlib

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "docs"))  # of pages.py

project, author, version = "serlib", "The serlib authors", serlib.__version__
html_title, language = "serlib", "en"
root_doc = "docs/index"
include_patterns = [
    *("CONTRIBUTING.md", "PROMISES.md", "SECURITY.md", "THIRD_PARTY.md", "CHANGELOG.md"),
    *("docs/**.md", "notebooks/*.ipynb", "results/README.md", "datasets/README.md", "benchmarks/*.md"),
    *("serlib/bundles/*.md", "serlib/bundles/*/MODEL_CARD.md", "serlib/corpora/LICENSES.md"),
]
exclude_patterns = ["build", ".*"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc", "sphinx_codeautolink", "pages"]

# The notebooks are executed before, by `notebooks/build.py`: here they are only shown.
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors, myst_update_mathjax = 3, False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"exclude-members": "set_fit_request, set_score_request"}  # scikit-learn adds them
numpydoc_show_class_members = False
codeautolink_concat_default = codeautolink_autodoc_inject = True  # links to functions, and back to where they are used
codeautolink_warn_on_missing_inventory = codeautolink_warn_on_failed_resolve = False

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"  # which browsers draw without a script
html_context, html_domain_indices = {"default_mode": "auto"}, False
html_static_path, templates_path = ["static"], ["templates"]
html_css_files = ["book.css"]
html_copy_source = html_show_sourcelink = False
html_show_search_summary = False  # it would be fetched, which pages opened as files may not
html_sidebars = {page: [] for page in ("docs/index", "docs/glossary", "docs/results")}
html_additional_pages = {"index": "redirect.html"}
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": True,
    "secondary_sidebar_items": {"**": ["page-toc"], "docs/index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_end": ["theme-switcher"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copyright = "The serlib authors, MIT; the corpora have licences of their own"
