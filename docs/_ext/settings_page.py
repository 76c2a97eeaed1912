"""``{settings}``: every setting with type, default, variable and help, from the table that the gateway itself reads."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from build_nodes import section, text
from docutils import nodes
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from sphinx.util.docutils import SphinxDirective

from gateway.config.rendering import settings_table
from gateway.config.setting_changes import NEEDS_RESTART
from gateway.config.settings import GROUPS, Settings

TOPICS = (
    ("url", "The service"),
    ("auth", "Signing in upstream"),
    ("companies", "Companies"),
    ("default_page_size", "Pages and limits upstream"),
    ("clean_noyes", "Names and values"),
    ("include", "What is served"),
    ("cache_dir", "Metadata and cache"),
    ("data_dir", "Data and keys"),
    ("host", "Listening, connections and proxies"),
    ("introspection", "What clients may see"),
    ("log_format", "Logging"),
    ("max_body_bytes", "Limits of requests"),
    ("read_only", "Writing and profiles"),
    ("roles", "Roles of callers"),
    ("credentials.", "`[credentials]`"),
    ("writes.", "`[writes]`"),
    ("subscriptions.", "`[subscriptions]`"),
    ("changes.", "`[changes]`"),
    ("federation.", "`[federation]`"),
    ("inbound.", "`[inbound]`"),
    ("audit.", "`[audit]`"),
    ("admin.", "`[admin]`"),
    ("jobs.", "`[jobs]`"),
    ("packages.", "`[packages]`"),
    ("sandbox.", "`[sandbox]`"),
)
"""Name of the first setting of a section (or how the names of its table begin), and the section's title."""


class SettingsReference(SphinxDirective):
    """All settings, in sections."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        labels = self.env.domains["std"]
        sections: list[nodes.Node] = []
        items: nodes.Element = nodes.definition_list(classes=["setting"])
        seen = set()
        for row in settings_table():
            for first, title in TOPICS:
                if first not in seen and (
                    row.name == first or (first[-1] == "." and row.name.startswith(first))
                ):
                    seen.add(first)
                    anchor = f"settings-{first.strip('.').replace('_', '-')}"
                    sections.append(section(text(title), anchor))
                    items = nodes.definition_list(classes=["setting"])
                    sections[-1] += items  # type: ignore[operator]
            anchor = f"setting-{row.name}"
            term = nodes.term("", "", nodes.literal(text=row.name), ids=[anchor])
            facts = nodes.paragraph("", "", *text(_facts(row.name, row.variable, row.default)))
            body = nodes.definition("", nodes.paragraph(text=row.help), facts)
            if row.name in NEEDS_RESTART:
                body += nodes.paragraph(text=f"Needs a restart. {NEEDS_RESTART[row.name]}")
            items += nodes.definition_list_item("", term, body)
            # The search lists objects before pages.
            labels.note_object("confval", row.name, anchor)  # type: ignore[attr-defined]
            labels.anonlabels[anchor] = (self.env.docname, anchor)  # type: ignore[attr-defined]
        for first in {first for first, _ in TOPICS} - seen:
            raise self.error(f"There is no setting {first!r} to begin a section with.")
        return sections


def _facts(name: str, variable: str, default: str) -> str:
    shown = f"default `{default}`" if default else "not set by default"
    return f"{_kind_of(_field(name))} · {shown} · `{variable}`"


def _field(name: str) -> FieldInfo:
    group, _, nested = name.partition(".")
    return GROUPS[group].model_fields[nested] if nested else Settings.model_fields[name]


def _kind_of(field: FieldInfo) -> str:
    """Return the type in words, with the limits of a number."""
    words = _words(field.annotation)
    limits = [
        f"{sign} {value:,}"
        for constraint in field.metadata
        for key, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if (value := getattr(constraint, key, None)) is not None
    ]
    return " ".join([words, *limits])


def _words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(arguments[0])
    if origin in {Union, types.UnionType}:
        return " or ".join(_words(a) for a in arguments if a is not type(None))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        inner = arguments[0]
        return {"text": "list of text", "secret": "list of secrets"}.get(
            _words(inner), "array of tables"
        )
    simple = {
        bool: "`true` or `false`",
        int: "integer",
        float: "number",
        str: "text",
        SecretStr: "secret",
        Path: "file or folder",
    }
    return simple.get(annotation, "table")
