"""The settings that allow or forbid writes, by entity set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from schema.catalog.records import ServiceInfo, Verb


@dataclass(frozen=True, slots=True)
class Patterns:
    """Names that match ``allow`` (empty: all) and not ``deny``; patterns are those of ``fnmatch``."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def hold(self, name: str) -> bool:
        """Return whether a name is allowed."""
        allowed = not self.allow or any(fnmatchcase(name, p) for p in self.allow)
        return allowed and not any(fnmatchcase(name, p) for p in self.deny)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRules:
    """The settings of writes."""

    verbs: Mapping[Verb, Patterns] = field(default_factory=dict, hash=False)
    """Verb → patterns of entity set names, or of operation names for actions. UPSERT needs CREATE and UPDATE."""
    given_by_service: frozenset[str] = frozenset()
    """``Set.Property`` that the metadata requires on creation although a number sequence provides it."""
    if_match_required: bool = False
    """Whether updates and deletes must pass the expected version (``ifMatch``)."""
    services: tuple[ServiceInfo, ...] = ()

    def allow(self, verb: Verb, name: str) -> bool:
        """Return whether a write of a set, or an operation, is allowed."""
        if verb is Verb.UPSERT:
            return self.allow(Verb.CREATE, name) and self.allow(Verb.UPDATE, name)
        patterns = self.verbs.get(verb)
        return patterns is None or patterns.hold(name)
