"""The codes of errors that the TypeScript client knows are those of the reference."""

from __future__ import annotations

import os
import re

from tests.support.pages import ROOT, page


def test_the_client_has_all_codes_of_the_reference() -> None:
    """A code that is new there is written by UPDATE_DOCS=1."""
    file = ROOT / "clients" / "typescript" / "src" / "codes.ts"
    listed = re.findall(r"^\| `([A-Z_]+)` \|", page("reference/errors"), re.MULTILINE)
    lines = "".join(f'  "{code}",\n' for code in dict.fromkeys(listed))
    text = file.read_text("utf-8")
    current = re.sub(r"(?<=const CODES = \[\n).*?(?=\])", lines, text, flags=re.DOTALL)
    if os.environ.get("UPDATE_DOCS"):
        file.write_text(current, "utf-8")
        text = current

    assert listed
    assert text == current, "UPDATE_DOCS=1 writes the codes anew"
