"""Suggests names of mutations and their types, by the names for reading that they are derived from."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator

from schema.catalog.names import add_prefix

from .catalog import Writes
from .naming import ROW_VERBS, SUFFIXES, mutation_name

_VERB = re.compile(r"\A[A-Z]?[a-z]*")
_OFF = (0, 1, -1)
"""Maximum letters by which the suffix of a misspelled type may be too short or too long."""

Near = Callable[[str], Iterable[str]]
"""Returns the names that are similar to a misspelled one."""


def near_mutations(wrong: str, writes: Writes, near_root: Near) -> Iterator[str]:
    """Yield candidates for a misspelled field of ``Mutation``; not all of them exist."""
    roots, prefix = writes.catalog.whole.roots, writes.catalog.prefix
    if prefix and wrong.startswith(prefix):
        wrong = _small(wrong.removeprefix(prefix))
    verb = next((v.value for v in ROW_VERBS if wrong.startswith(v.value)), None)
    rest = wrong.removeprefix(verb) if verb else _VERB.sub("", wrong, count=1)
    if rest:
        for root in near_root(add_prefix(prefix, _small(rest))):
            yield from (mutation_name(v, root, roots, prefix) for v in ROW_VERBS)
    yield from writes.actions


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]


def near_types(wrong: str, known: Container[str], near_type: Near) -> Iterator[str]:
    """Yield candidates for a misspelled type, by the part that is right: its row type or its suffix."""
    for suffix in SUFFIXES.values():
        base, end = wrong[: -len(suffix)], wrong[-len(suffix) :]
        for more in _OFF:
            if wrong[: -len(suffix) + more] in known:
                yield wrong[: -len(suffix) + more] + suffix
        if base and end == suffix:
            yield from (near + suffix for near in near_type(base))
