"""Properties that differ from one already read in nothing but texts: the name, the type, and annotations in words.

    Name="▢" Type="▢" Nullable="false"><Annotation Term="….LabelId" String="▢" />… </Property>

The first property of a kind is read as XML with marks in these places, and says which of them are name, type, label
and description, and which nobody asks for. All others of the kind are this one with their own texts. That holds for
texts which mean themselves inside of quotes (no entity, no character that XML forbids or changes), and where the value
of an annotation is nothing but text. Whatever is not certain is left to the XML reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import intern
from typing import Final, NamedTuple

from msgspec.structs import replace

from schema.model.records import Property, TypeRef

from .annotations import PROPERTY_TERMS, TERMS, TEXT_TERMS, facts_of
from .draft import Draft
from .types import property_of
from .xml import BadElement, ContentReader, Element

_VALUE: Final = ' String="'
_SIGN: Final = "\u25a2"
_MARK: Final = _SIGN + "%d"
_NAME, _TYPE = _MARK % 0, _MARK % 1
MOST_KINDS: Final = 4_000
"""Finance & Operations has some 1,500. A document with no two properties of a kind would only take longer this way."""
LONGEST: Final = 4_000
"""Characters of a property."""


class _Kind(NamedTuple):
    specimen: Property
    label: int | None
    """Which of the annotated texts is the label; None if the specimen's is that of all."""
    description: int | None


class SimilarProperties:
    """The kinds of properties of one document."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._kinds: dict[tuple[str, ...], _Kind | None] = {}
        """What is around the texts → the kind; None if such properties must be read."""
        self._learned = 0
        self._reader: ContentReader | None = None
        self._types: dict[str, TypeRef | None] = {}

    def make(self, text: str) -> Property | None:
        """Return the property whose text goes on like this after ``<Property ``; None if it must be read as XML."""
        parts = text.split('"', 4)
        if len(parts) < 5 or parts[0] != "Name=" or parts[2] != " Type=":
            return None
        _, name, _, type_text, rest = parts
        around, *valued = rest.split(_VALUE)
        key: tuple[str, ...] = (around,)
        values: list[str] = []
        for part in valued:
            value, _, around = part.partition('"')
            if not value.isprintable() or "<" in value or "&" in value:
                return None
            values.append(value.strip())
            key += (around,)
        kind = self._kinds[key] if key in self._kinds else self._learn(key, len(text))
        type_ = self._types[type_text] if type_text in self._types else self._type(type_text)
        if kind is None or type_ is None or not name.isidentifier():
            return None
        specimen, label, description = kind
        label_text = specimen.label if label is None else values[label]
        description_text = specimen.description if description is None else values[description]
        if label_text == "" or description_text == "":
            return None  # it says nothing, and another annotation may speak in its place
        return replace(
            specimen,
            name=intern(name),
            type=type_,
            label=label_text and intern(label_text),
            description=description_text and intern(description_text),
        )

    def _type(self, text: str) -> TypeRef | None:
        means_itself = bool(text) and text.isprintable() and "<" not in text and "&" not in text
        type_ = self._types[text] = self._draft.type_refs[text] if means_itself else None
        return type_

    def _learn(self, key: tuple[str, ...], size: int) -> _Kind | None:
        if self._learned >= MOST_KINDS or size > LONGEST:
            return None
        self._learned += 1
        kind = self._kinds[key] = self._read(key)
        return kind

    def _read(self, key: tuple[str, ...]) -> _Kind | None:
        """Return the kind of properties with marks in place of texts; None if such texts may mean something else."""
        marks = [_MARK % place for place in range(2, len(key) + 1)]
        content = f'<Property Name="{_NAME}" Type="{_TYPE}"{key[0]}'
        for mark, around in zip(marks, key[1:], strict=True):
            content += f'{_VALUE}{mark}"{around}'
        reader = self._reader = self._reader or ContentReader(TERMS)
        read = reader.read(content)
        if read is None:
            reader.close()
            self._reader = None
            return None
        element, values = read
        # Only between the quotes of attributes do they mean themselves.
        if not {_NAME, _TYPE, *marks}.issubset(values) or _SIGN in "".join(key):
            return None
        return self._kind(element, marks)

    def _kind(self, element: Element, marks: Sequence[str]) -> _Kind | None:
        terms = self._draft.term_names
        for term, value in element.notes:
            decides = terms[term] not in TEXT_TERMS.constants and value in marks
            if not terms[term] or not isinstance(value, str) or decides:
                return None
        facts = facts_of(element.notes, PROPERTY_TERMS, terms)
        try:
            specimen = property_of(element, _NAME, facts, self._draft)
        except BadElement:
            return None
        found = [
            marks.index(t) if t in marks else None for t in (specimen.label, specimen.description)
        ]
        return _Kind(specimen, *found)
