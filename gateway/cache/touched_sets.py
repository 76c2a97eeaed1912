"""Which entity sets a request reads: ``VendorGroups?$expand=PaymentTerm`` → VendorGroups, PaymentTerms.

Only what is certain is returned. A set may be named too often, never too rarely: an answer is cached if all of its sets
are on the list, and evicted if one of them is written.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

from schema.model.records import Model

_PATH = re.compile(r"(\w+)(\([^/]*\))?(/\$count)?")
"""A set, a row by its key, or the number of rows of a set."""
_TEXT = re.compile(r"'(?:[^']|'')*'")
_EXPAND = re.compile(r"\$expand=")
_BEFORE_SLASH = re.compile(r"([A-Za-z_][\w.]*)/")
_NAME = re.compile(r"[A-Za-z_][\w./]*")


class TouchedSets:
    """Finds the entity sets of requests over one model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        # Operations repeat: the same paths and options come with other values.
        self._reached = lru_cache(2_000)(self._find)

    def of(self, url: str) -> frozenset[str] | None:
        """Return the sets that a request reads, by its relative URL; None if that is not certain."""
        path, _, options = url.partition("?")
        match = _PATH.fullmatch(path)
        if match is None or match[1] not in self._model.entity_sets:
            return None
        names = (
            _navigations(unquote(options))
            if "/" in options or "%2F" in options or "$expand" in options
            else ()
        )
        return self._reached(match[1], frozenset(names))

    def _find(self, root: str, names: frozenset[str]) -> frozenset[str] | None:
        """Return all sets that can be reached from one by navigations of these names, in any order."""
        sets, unknown, growing = {root}, set(names), True
        while growing:
            growing = False
            for name in names:
                reached = set[str]().union(*(self._targets(s, name) for s in sets))
                if reached:
                    unknown.discard(name)
                if not reached <= sets:
                    sets |= reached
                    growing = True
        return None if unknown else frozenset(sets)

    def _targets(self, entity_set: str, name: str) -> frozenset[str]:
        """Return the sets of the rows behind a navigation."""
        model = self._model
        declared = model.entity_sets[entity_set]
        for csdl in model.family(declared.type):
            for navigation in model.navigations_of(csdl):
                if navigation.name == name:
                    kinds = model.family(navigation.target)
                    bases = [t.name for t in model.lineage(navigation.target)]
                    sets = model.sets_of_type
                    # Of a type without a set nobody can say what was written.
                    return frozenset(s for kind in (*kinds, *bases) for s in sets.get(kind, ()))
        return frozenset()


def _navigations(options: str) -> set[str]:
    """Return the names that the options of a request navigate by, and those that may be names of variables."""
    # A quoted text may hold anything, and a name in it is no name.
    plain = _TEXT.sub("''", options)
    # ``Header/Status``, ``Lines/any(x:x/Quantity gt 1)``; a derived type before a navigation is no set either.
    names = set(_BEFORE_SLASH.findall(plain))
    for found in _EXPAND.finditer(plain):
        names |= _expanded(plain, found.end())
    return names


def _expanded(text: str, start: int) -> set[str]:
    """``A($select=x;$top=1),B/C&$top=3`` → A, B, C: the names of one list, without those inside the parentheses."""
    names: set[str] = set()
    place, is_name = start, True
    while place < len(text) and text[place] not in "&;)":
        char = text[place]
        if char == "(":
            place = _closing(text, place)
        elif char == ",":
            is_name = True
        elif is_name and (match := _NAME.match(text, place)):
            names.update(match[0].split("/"))
            place, is_name = match.end() - 1, False
        place += 1
    return names


def _closing(text: str, start: int) -> int:
    """Return the place of the parenthesis that closes the one at ``start``."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0:
            return place
    return len(text)
