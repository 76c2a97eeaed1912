"""CSDL XML → Model, CSDL XML 4.0 and 4.01.

    bytes ──csdl_xml──▶ elements ──csdl_types, csdl_container──▶ Draft ──csdl_resolve──▶ Model

One pass over the document, 41 MB of it in about two seconds, without ever holding its tree. What
cannot be read at all is one ``CsdlSyntaxError`` with line and column; what merely leads nowhere is
left out and told in ``Model.findings``.

https://docs.oasis-open.org/odata/odata-csdl-xml/v4.01/odata-csdl-xml-v4.01.html
"""

from __future__ import annotations

from collections.abc import Callable

from schema.errors import CsdlSyntaxError
from schema.model.records import Model

from .annotations import TERMS
from .container import read_container
from .draft import Draft
from .resolve import resolve
from .runs import Source, read_elements
from .similar import SimilarProperties
from .types import READERS
from .xml import BadElement, Element


def parse_csdl(
    source: Source, *, name: str = "$metadata", progress: Callable[[int], None] | None = None
) -> Model:
    """Read a metadata document: all of it, a binary file, or chunks as they arrive.

    ``name`` stands for the document in errors; ``progress`` is told the number of bytes read so far.
    """
    draft = Draft()
    elements = read_elements(
        source, name=name, terms=TERMS, make=SimilarProperties(draft).make, progress=progress
    )
    try:
        for parent, element in elements:
            _read(parent, element, draft)
    except BadElement as error:
        raise CsdlSyntaxError(
            error.reason, document=name, line=error.element.line, column=error.element.column
        ) from error
    if not draft.container:
        raise CsdlSyntaxError(
            "the document has no EntityContainer, so it offers nothing to read",
            document=name,
            line=1,
            column=1,
            hint="It may be a vocabulary or a part of a larger document; use the service's own $metadata.",
        )
    return resolve(draft)


def _read(parent: Element, element: Element, draft: Draft) -> None:
    if parent.tag == "Schema":
        namespace = parent.attributes.get("Namespace")
        if not namespace:
            raise BadElement(
                parent,
                "this <Schema> has no Namespace, so what it declares has no name (CSDL XML 4.01 section 5.1):"
                " use the document that the service itself gives at $metadata, or add the attribute",
            )
        draft.declare_alias(parent.attributes.get("Alias"), namespace)
        if element.tag == "EntityContainer":
            read_container(element, namespace, draft)
        elif (read := READERS.get(element.tag)) is not None:
            read(element, namespace, draft)
    elif element.tag == "Reference":
        for child in element.children:
            if child.tag == "Include":
                draft.declare_alias(child.attributes.get("Alias"), child.need("Namespace"))
