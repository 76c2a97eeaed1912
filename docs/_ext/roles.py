"""Roles for names that must exist: settings, error codes, files."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

ROOT = Path(__file__).resolve().parents[2]
LOG = logging.getLogger(__name__)


def setting_role(
    _name: str, _raw: str, content: str, _line: int, inliner: Any, *_: Any, **__: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Link ``max_rows`` or ``max_rows = 5`` to the setting."""
    return [_reference(f"setting-{content.partition(' =')[0]}", content, inliner)], []


def error_role(
    _name: str, _raw: str, content: str, _line: int, inliner: Any, *_: Any, **__: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Link ``BAD_ARGUMENT`` to its row in the table of errors."""
    return [_reference(f"error-{content}", content, inliner)], []


def source_role(
    _name: str, _raw: str, content: str, line: int, inliner: Any, *_: Any, **__: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Name a file or folder of the repository, or ``file::function``; warn if there is none."""
    trouble = missing_source(content)
    if trouble:
        LOG.warning("%s", trouble, location=(inliner.document.settings.env.docname, line))
    return [nodes.literal(text=content)], []


def missing_source(place: str) -> str | None:
    """Return what is wrong with ``path`` or ``path::name``, or None."""
    path, _, name = place.partition("::")
    file = ROOT / path
    if not file.exists():
        return f"There is no file {path}."
    if name:
        tree = ast.parse(file.read_text("utf-8"))
        names = {
            target.id
            for node in ast.walk(tree)
            for target in _targets(node)
            if isinstance(target, ast.Name)
        } | {node.name for node in ast.walk(tree) if isinstance(node, _NAMED)}
        if name not in names:
            return f"There is no {name} in {path}."
    return None


_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign) else []


def _reference(label: str, shown: str, inliner: Any) -> addnodes.pending_xref:
    return addnodes.pending_xref(
        "",
        nodes.literal(text=shown),
        refdomain="",
        reftype=label.partition("-")[0],
        reftarget=label,
        refwarn=True,
        refdoc=inliner.document.settings.env.docname,
    )


def resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, shown: nodes.TextElement
) -> nodes.reference | None:
    """Return the link to a setting or error code; None makes Sphinx warn."""
    target = env.domains["std"].anonlabels.get(node["reftarget"])  # type: ignore[attr-defined]
    if node["reftype"] not in {"setting", "error"} or target is None:
        return None
    return make_refnode(app.builder, node["refdoc"], *target, shown)
