"""How the documentation is built; ``make docs`` runs it."""

import re

from sphinx.util.docutils import SphinxDirective

import sktransfer
from sktransfer.testing.registry import GROUPS, checks_of

project = "sktransfer"
author = "The sktransfer developers"
copyright = f"2026, {author}"
release = sktransfer.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "gallery/*.ipynb"]
# The page that a comparison writes, as it is.
html_extra_path = ["example/report.html"]
html_theme = "alabaster"
html_theme_options = {"description": "Transfer learning for text", "page_width": "70em"}

autosummary_generate = True
# Methods stand on their class's page.
numpydoc_show_class_members = False
# What scikit-learn writes into classes is described there, with links that lead there.
autodoc_default_options = {
    "exclude-members": ", ".join(
        f"set_{method}_request"
        for method in ("fit", "partial_fit", "transform", "predict", "score")
    )
}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "download_all_examples": False,
    "show_memory": False,
}


def escape_fitted_names(app, what, name, obj, options, lines):
    """Keep shapes such as ``(n_texts, n_features_out_)`` from being read as links."""
    for number, line in enumerate(lines):
        if "shape (" in line:
            lines[number] = re.sub(r"(?<=\w)_(?=[,)])", r"\_", line)


class TextChecks(SphinxDirective):
    """The checks of sktransfer.testing by group, each with its docstring."""

    def run(self):
        """Make a list of terms for each group."""
        lines = []
        for group in GROUPS:
            lines += ["", f".. rubric:: {group}", ""]
            for check in checks_of(group):
                # A name such as classes_ would be read as a link.
                held = re.sub(r"(?<=\w)_(?!\w)", r"\_", check.__doc__)
                lines += [f"``{check.__name__}``", f"    {held}"]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app):
    """Hook in before numpydoc, which listens to the same event at priority 500."""
    app.add_directive("text-checks", TextChecks)
    app.connect("autodoc-process-docstring", escape_fitted_names, priority=400)
