"""What pages take from the code when the site is built, so that neither can change alone.

Directives write what the code knows (``setup`` lists them). Roles name what must exist: ``{setting}`` and ``{error}``
link to the reference, ``{source}`` names a file (``path`` or ``path::function``). What does not exist is a warning, and
the build turns warnings into errors.
"""

from __future__ import annotations

from typing import Any

from commands_page import Commands
from docutils import nodes
from drawings import Drawing
from roles import error_role, resolve, setting_role, source_role
from settings_page import SettingsReference
from sphinx.application import Sphinx
from tables import Events, Metrics, Operators, Presets, Sizing


def anchor_codes(app: Sphinx, document: nodes.document) -> None:
    """Make each code in the first column of the tables of ``reference/errors`` a target of the role ``error``."""
    if app.env.docname != "reference/errors":
        return
    labels = app.env.domains["std"]
    for row in document.findall(nodes.row):
        first = row.children[0]
        for code in first.findall(nodes.literal):
            anchor = f"error-{code.astext()}"
            code["ids"].append(anchor)
            document.note_explicit_target(code)
            labels.anonlabels[anchor] = (app.env.docname, anchor)  # type: ignore[attr-defined]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything; called by Sphinx."""
    app.add_directive("settings", SettingsReference)
    app.add_directive("commands", Commands)
    app.add_directive("drawing", Drawing)
    app.add_directive("events", Events)
    app.add_directive("metrics", Metrics)
    app.add_directive("operators", Operators)
    app.add_directive("presets", Presets)
    app.add_directive("sizing", Sizing)
    app.add_role("setting", setting_role)
    app.add_role("error", error_role)
    app.add_role("source", source_role)
    app.connect("doctree-read", anchor_codes)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": False}
