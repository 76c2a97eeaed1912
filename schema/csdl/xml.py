"""XML bytes → small element trees: the only module that parses XML.

A metadata document can be 50 MB, so no whole tree is made: the standard library's expat calls back,
and each child of a ``Schema`` is handed on as one small tree as soon as it is closed. Annotations
nobody asks for, half of a Finance & Operations document, are dropped while they are read. Measured
against lxml and ElementTree, expat was the fastest and needed the least memory. Properties that are
like others do not come here at all: ``runs`` takes them out of the text.

XML from outside is hostile: any DOCTYPE is refused, so there are no entities to expand or to fetch,
and nesting is bounded. What is not CSDL at all (a login page, JSON, OData V2) gets an error that
says so instead of a parser's complaint.

CSDL XML 4.01, section 3:
https://docs.oasis-open.org/odata/odata-csdl-xml/v4.01/odata-csdl-xml-v4.01.html#sec_CSDLXMLDocument
"""

from __future__ import annotations

from typing import Any, Final
from xml.parsers import expat

import msgspec

from schema.errors import CsdlSyntaxError

MAX_DEPTH: Final = 64
"""Open elements at one time; a document with annotations uses about 12."""
MAX_TEXT: Final = 1 << 16
"""Characters inside one annotation value; a description has a few hundred."""

_EDM: Final = "http://docs.oasis-open.org/odata/ns/edm"
_EDMX: Final = "http://docs.oasis-open.org/odata/ns/edmx"
_BOM: Final = b"\xef\xbb\xbf"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_TYPE: Final = ["Edmx", "DataServices", "Schema", "EntityType"]
"""The elements that are open where a property of an entity type begins."""
_ATTRIBUTES: Final = {"Edmx": f' xmlns="{_EDMX}" Version="4.0"', "Schema": f' xmlns="{_EDM}"'}
"""What these need for their content to be CSDL."""
_OLD: Final = "http://schemas.microsoft.com/ado/"
_ENVELOPE: Final = frozenset({"Edmx", "DataServices", "Schema"})
CONSTANTS: Final = ("String", "Bool", "EnumMember")
"""Attributes or elements that hold the value of an annotation as text."""
_TEXT: Final = frozenset({*CONSTANTS, "PropertyPath", "NavigationPropertyPath", "Path"})
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}
_ASK_FOR_XML: Final = "Check the address: it should end in /$metadata and answer with XML."
_OLD_VERSION: Final = "OData V2/V3 is not supported, only OData V4 (edmx Version 4.0 or 4.01)"
_OLD_HINT: Final = "Use the V4 address of the service; Dynamics 365 F&O serves it under /data."
_HTML: Final = "this is an HTML page, not CSDL: most likely a login or error page"
_HTML_HINT: Final = (
    "The request was not signed in, or the address is that of a website. " + _ASK_FOR_XML
)


class Element(msgspec.Struct, eq=False):
    """One XML element of the two CSDL namespaces, with its wanted content."""

    tag: str
    attributes: dict[str, str]
    line: int
    column: int
    children: list[Element] | tuple[()] = ()
    notes: list[Note] | tuple[()] = ()
    """What is annotated inside: such an ``Annotation`` is not among the children."""
    text: str = ""
    made: list[Any] | tuple[()] = ()
    """What was made of several elements of this tag that were not read (``runs``); the rest is empty then."""

    def need(self, attribute: str) -> str:
        """Return an attribute without which the element means nothing."""
        value = self.attributes.get(attribute)
        if not value:
            raise BadElement(self, f"<{self.tag}> has no {attribute}")
        return value

    def constant(self) -> str | None:
        """Return the constant value as text; a term without any value is a tag and true; None for other expressions.

        Serves an ``Annotation`` and a ``PropertyValue`` alike: each has one naming attribute and one for the value.
        """
        attributes = self.attributes
        for kind in CONSTANTS:
            if kind in attributes:
                return attributes[kind].strip()
        children = self.children
        if len(children) == 1 and children[0].tag in CONSTANTS:
            return children[0].text.strip()
        is_tag = not children and len(attributes) == 1
        return "true" if is_tag else None

    def flag(self, attribute: str, default: bool = False) -> bool:
        """Return a boolean attribute; .NET writes ``True``, XML Schema also ``1``."""
        value = self.attributes.get(attribute)
        if value is None:
            return default
        flag_value = _FLAGS.get(value.lower())
        if flag_value is None:
            raise BadElement(
                self, f'{attribute}="{value}" of <{self.tag}> is neither true nor false'
            )
        return flag_value

    def number(self, attribute: str, besides: frozenset[str] = frozenset()) -> int | None:
        """Return an integer attribute; None if it is absent or one of the words ``besides``."""
        value = self.attributes.get(attribute)
        if value is None or value.lower() in besides:
            return None
        try:
            return int(value)
        except ValueError:
            raise BadElement(
                self, f'{attribute}="{value}" of <{self.tag}> is not a whole number'
            ) from None


Note = tuple[str, str | Element]
"""Term of an annotation as spelt, and its constant value; the element itself where the value is none."""

_DROPPED: Final = Element("", {}, 0, 0)
"""Stands for every open element that nobody asks for."""


def adopt(parent: Element, child: Element) -> None:
    if parent.children:
        parent.children.append(child)
    else:
        parent.children = [child]


def _annotate(parent: Element, note: Note) -> None:
    if parent.notes:
        parent.notes.append(note)
    else:
        parent.notes = [note]


class BadElement(Exception):
    """An element that is well-formed XML and still not CSDL; ``parse_csdl`` adds the document's name."""

    def __init__(self, element: Element, reason: str) -> None:
        super().__init__(reason)
        self.element = element
        self.reason = reason


class _LocalNames(dict[str, str]):
    """Expat's ``namespace name`` → the local name, or an empty string outside the CSDL namespaces."""

    def __missing__(self, tag: str) -> str:
        namespace, _, local = tag.rpartition(" ")
        self[tag] = local if namespace in {_EDM, _EDMX} else ""
        return self[tag]


class _Wanted(dict[str, bool]):
    """Term of an annotation → whether it may be one of ours; qualified ones are for special contexts only."""

    def __init__(self, terms: frozenset[str]) -> None:
        super().__init__()
        self._terms = terms

    def __missing__(self, term: str) -> bool:
        self[term] = term.rpartition(".")[2] in self._terms
        return self[term]


class Reader:
    """The expat callbacks: they run half a million times for a Finance & Operations document."""

    def __init__(self, name: str, terms: frozenset[str]) -> None:
        """``terms`` are the short names of the annotation terms to keep."""
        self._name = name
        self._wanted = _Wanted(terms)
        self._local = _LocalNames()
        self._open: list[Element] = []
        self._ready: list[tuple[Element, Element]] = []
        self._head = b""
        self._rooted = False
        self._size = 0
        """Bytes that the parser was given."""
        self._default = [""]
        """Default namespaces of the open elements, the outer ones first."""
        self._is_utf_8 = True
        self._is_in_cdata = False
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._root
        self._parser.EndElementHandler = self._end
        self._parser.StartNamespaceDeclHandler = self._start_namespace
        self._parser.EndNamespaceDeclHandler = self._end_namespace
        self._parser.XmlDeclHandler = self._declaration
        self._parser.StartCdataSectionHandler = lambda: self._set_cdata(True)
        self._parser.EndCdataSectionHandler = lambda: self._set_cdata(False)

    def feed(self, chunk: bytes | memoryview) -> None:
        if len(self._head) < 80:
            self._head += bytes(chunk[:80])
        self._parse(chunk, final=False)

    def close(self) -> None:
        if not self._head.removeprefix(_BOM).strip():
            raise self._error("the document is empty", hint=_ASK_FOR_XML)
        self._parse(b"", final=True)

    def observe_attributes(self, values: list[str]) -> None:
        """Add the values of all attributes that are read from now on to a list."""

        def start(tag: str, attributes: dict[str, str]) -> None:
            values.extend(attributes.values())
            self._start(tag, attributes)

        self._parser.StartElementHandler = start

    def release(self) -> None:
        """Release the memory of the parser, which otherwise waits for the garbage collector."""
        del self._parser

    def take(self) -> list[tuple[Element, Element]]:
        """Return (parent, element) for the children of ``Edmx``, ``DataServices`` and ``Schema`` closed meanwhile.

        The parent is still open and lends its attributes only.
        """
        ready, self._ready = self._ready, []
        return ready

    def open_type(self) -> Element | None:
        """Return the entity type in whose content the text given so far ends, if elements need no prefix there.

        None: it ends anywhere else, such as inside a tag, a comment or a CDATA section, or is not UTF-8.
        """
        if (
            # Past what was last parsed, there is nothing that is not complete yet.
            self._parser.CurrentByteIndex == self._size
            and self._default[-1] in {_EDM, _EDMX}
            and self._is_utf_8
            and not self._is_in_cdata
            and [element.tag for element in self._open] == _TYPE
        ):
            return self._open[-1]
        return None

    def _parse(self, chunk: bytes | memoryview, *, final: bool) -> None:
        self._size += len(chunk)
        try:
            self._parser.Parse(chunk, final)
        except expat.ExpatError as error:
            if final and self._open:
                raise self._cut() from error
            raise self._malformed(expat.ErrorString(error.code)) from error
        except (LookupError, ValueError) as error:  # an encoding that Python or expat lacks
            raise self._malformed(str(error)) from error

    def _error(self, reason: str, *, hint: str | None = None) -> CsdlSyntaxError:
        return CsdlSyntaxError(
            reason,
            document=self._name,
            line=self._parser.CurrentLineNumber,
            column=self._parser.CurrentColumnNumber + 1,
            hint=hint,
        )

    def _cut(self) -> CsdlSyntaxError:
        last = next(element for element in reversed(self._open) if element is not _DROPPED)
        return self._error(
            f"the document ends in the middle: <{last.tag}> of line {last.line} is still open",
            hint="The download was cut off; fetch the document again.",
        )

    def _malformed(self, complaint: str) -> CsdlSyntaxError:
        start = self._head.removeprefix(_BOM).strip()
        if start.startswith(b"\x1f\x8b"):
            return self._error("this is gzip, not XML", hint="Decompress the document first.")
        if not self._rooted and not start.startswith((b"<", *_UTF_16)):
            shown = start[:40].decode(errors="replace")
            return self._error(f"this is not XML: it begins with {shown!r}", hint=_ASK_FOR_XML)
        return self._error(f"not well-formed XML: {complaint}")

    def _doctype(self, name: str, *_: object) -> None:
        if name.lower() == "html":
            raise self._error(_HTML, hint=_HTML_HINT)
        raise self._error(
            "the document has a DOCTYPE, which is refused because it can define entities",
            hint="CSDL needs none; remove it if you trust the document.",
        )

    def _start_namespace(self, prefix: str | None, namespace: str | None) -> None:
        if not prefix:
            self._default.append(namespace or "")

    def _end_namespace(self, prefix: str | None) -> None:
        if not prefix:
            self._default.pop()

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self._is_utf_8 = encoding is None or encoding.lower() == "utf-8"

    def _set_cdata(self, is_in: bool) -> None:
        self._is_in_cdata = is_in

    def _root(self, tag: str, attributes: dict[str, str]) -> None:
        self._rooted = True
        namespace, _, local = tag.rpartition(" ")
        if local.lower() == "html":
            raise self._error(_HTML, hint=_HTML_HINT)
        version = attributes.get("Version", "4.0")
        if namespace.startswith(_OLD) or (local == "Edmx" and version[:2] in {"1.", "2.", "3."}):
            raise self._error(_OLD_VERSION, hint=_OLD_HINT)
        if tag != f"{_EDMX} Edmx":
            raise self._error(
                f"this is XML but not CSDL: its root element is <{local}>, not <edmx:Edmx>",
                hint=_ASK_FOR_XML,
            )
        if not version.startswith("4."):
            raise self._error(f'edmx Version="{version}" is not known, only 4.0 and 4.01')
        self._parser.StartElementHandler = self._start
        self._open.append(Element(local, attributes, self._parser.CurrentLineNumber, 1))

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        opened = self._open
        parent = opened[-1]
        local = "" if parent is _DROPPED else self._local[tag]
        if local == "Annotation":
            opened.append(self._annotation(parent, attributes))
        elif local:
            parser = self._parser
            opened.append(
                Element(local, attributes, parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)
            )
            if local in _TEXT:
                parser.CharacterDataHandler = self._characters
        else:
            self._drop(tag)
        if len(opened) > MAX_DEPTH:
            raise self._error(f"elements are nested deeper than {MAX_DEPTH}, which no CSDL needs")

    def _annotation(self, parent: Element, attributes: dict[str, str]) -> Element:
        """Open an annotation. One with a constant is noted at once: whatever is inside says nothing of it."""
        term = attributes.get("Term", "")
        if not self._wanted[term] or "Qualifier" in attributes:
            return _DROPPED
        for kind in CONSTANTS:
            if kind in attributes:
                _annotate(parent, (term, attributes[kind].strip()))
                return _DROPPED
        return Element("Annotation", attributes, self._parser.CurrentLineNumber, 1)

    def _drop(self, tag: str) -> None:
        """Leave out an element with all that is in it."""
        if tag.startswith(_OLD) and tag.endswith(" Schema") and self._open[-1] is not _DROPPED:
            raise self._error(_OLD_VERSION, hint=_OLD_HINT)
        self._open.append(_DROPPED)

    def _end(self, _: str) -> None:
        opened = self._open
        element = opened.pop()
        if element is _DROPPED or not opened:
            return
        parent = opened[-1]
        if element.tag in _TEXT:
            self._parser.CharacterDataHandler = None
            adopt(parent, element)
        elif element.tag == "Annotation":
            value = element.constant()
            term = element.attributes["Term"]
            _annotate(parent, (term, element if value is None else value))
        elif parent.tag in _ENVELOPE:
            self._ready.append((parent, element))
        else:
            adopt(parent, element)

    def _characters(self, text: str) -> None:
        element = self._open[-1]
        if element is _DROPPED:
            return
        element.text += text
        if len(element.text) > MAX_TEXT:
            raise self._error(f"a text is longer than {MAX_TEXT:,} characters, which no CSDL needs")


class ContentReader:
    """Reads texts that could be content of an entity type, each by itself."""

    def __init__(self, terms: frozenset[str]) -> None:
        self._reader = reader = Reader("", terms)
        self._values: list[str] = []
        reader.feed("".join(f"<{tag}{_ATTRIBUTES.get(tag, '')}>" for tag in _TYPE).encode())
        reader.observe_attributes(self._values)

    def read(self, text: str) -> tuple[Element, list[str]] | None:
        """Return the only element in a text, and the values of all attributes in it.

        None: it has more or less than one element, or is not content of an entity type. Then no other can be read.
        """
        type_ = self._reader.open_type()
        assert type_ is not None
        type_.children, type_.notes = (), ()
        self._values.clear()
        try:
            self._reader.feed(text.encode())
        except CsdlSyntaxError:
            return None
        if self._reader.open_type() is not type_ or len(type_.children) != 1 or type_.notes:
            return None
        return type_.children[0], self._values

    def close(self) -> None:
        """Release the memory of the parser."""
        self._reader.release()
