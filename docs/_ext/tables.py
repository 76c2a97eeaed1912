"""``{events}``, ``{metrics}``, ``{operators}``, ``{presets}``, ``{sizing}``: tables of what the code has of each."""

from __future__ import annotations

from typing import get_args

from build_nodes import table, text
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from gateway import events
from gateway.odata.dialect import Dialect
from gateway.odata.dialects import DIALECTS
from gateway.odata.finops import FINOPS
from gateway.sizing.coefficients import MEANINGS, MEASURED
from gateway.telemetry.catalog import METRICS
from schema.operators import WhereOperator

WORDS = {"temporal": "date-time", "string": "text", "other": "anything else"}
"""Kinds of value whose names in the code are not those of a reader."""


class Events(SphinxDirective):
    """Every event: its name in the log, what it says, its fields."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        kinds = get_args(events.Event)
        rows = [
            (
                [nodes.literal(text=events.log_name(kind.__name__))],
                list(text(" ".join((kind.__doc__ or "").split()))),
                [node for name in kind.__struct_fields__ for node in _field(name)][:-1],
            )
            for kind in sorted(kinds, key=lambda kind: kind.__name__)
        ]
        return [table(("event", "meaning", "fields"), rows)]


def _field(name: str) -> tuple[nodes.Node, nodes.Node]:
    return nodes.literal(text=name), nodes.Text(" ")


class Metrics(SphinxDirective):
    """Every metric: its name, its kind, what it says, its labels."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows = [
            (
                [nodes.literal(text=metric.name)],
                [nodes.Text(metric.kind)],
                [nodes.Text(metric.help)],
                [node for name in metric.labels for node in _field(name)][:-1],
            )
            for metric in METRICS
        ]
        return [table(("metric", "kind", "meaning", "labels"), rows)]


class Sizing(SphinxDirective):
    """What sizes are reckoned with: each coefficient with its value."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows = [
            ([nodes.Text(meaning.text)], [nodes.Text(meaning.shown(getattr(MEASURED, name)))])
            for name, meaning in MEANINGS.items()
        ]
        return [table(("what", "takes"), rows)]


class Operators(SphinxDirective):
    """The operators of ``where``, with the kinds of value for which each dialect has them."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows = [
            (
                [nodes.literal(text=operator.value)],
                [nodes.Text(operator.description)],
                *([nodes.Text(_kinds(dialect, operator))] for dialect in DIALECTS),
            )
            for operator in WhereOperator
        ]
        return [table(("operator", "meaning", *(dialect.name for dialect in DIALECTS)), rows)]


def _kinds(dialect: Dialect, operator: WhereOperator) -> str:
    kinds = (
        WORDS.get(kind, kind) for kind, found in dialect.operators.items() if operator in found
    )
    return ", ".join(kinds) or "none"


class Presets(SphinxDirective):
    """The preset relations, by entity set."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        by_set: dict[str, list[nodes.Node]] = {}
        for relation in FINOPS.relations:
            cell = by_set.setdefault(relation.from_set, [])
            if cell:
                cell.append(nodes.Text(", "))
            cell += [nodes.literal(text=relation.name), nodes.Text(f" → {relation.to_set}")]
            if relation.inverse:
                cell += [nodes.Text(" ("), nodes.literal(text=relation.inverse), nodes.Text(")")]
        rows = [([nodes.Text(name)], cell) for name, cell in by_set.items()]
        return [table(("entity set", "relations, with the name of the inverse in brackets"), rows)]
