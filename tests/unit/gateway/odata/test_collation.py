"""Which orders every collation agrees on, and which it does not."""

from __future__ import annotations

import pytest

from gateway.odata.collation import certain_order, fold_text

SURE = [
    ("Edm.String", "a", "b", -1, -1),
    ("Edm.String", "US-001", "US-002", -1, -1),
    ("Edm.String", "US-1", "US-1x", -1, -1),
    ("Edm.String", "a", "a", 0, 0),
    ("Edm.String", "b9", "a1", 1, 1),
    ("Edm.String", "a1", "ab", -1, -1),
    ("Edm.String", "Ab", "aC", -1, None),  # capitals first, or not
    ("Edm.String", "A", "a", 0, None),
    ("Edm.String", "a ", "A", 0, None),
    ("Edm.String", "B", "a", 1, None),
    ("Edm.String", "A-1", "A1", None, None),  # hyphens count for nothing in Windows collations
    ("Edm.String", "A", "A-", None, None),
    ("Edm.String", "co-op", "coop", None, None),
    ("Edm.String", "a_", "a1", None, None),
    ("Edm.String", "ä", "b", None, None),
    ("Edm.String", None, "b", None, None),
    ("Edm.Int32", 2, 10, -1, -1),
    ("Edm.Int32", None, None, 0, 0),
    ("Edm.Int32", None, 1, None, None),
    ("Edm.Date", "2024-01-02", "2024-01-10", -1, -1),
    ("Edm.DateTimeOffset", "2024-01-02T00:00:00.5Z", "2024-01-02T00:00:00Z", 1, 1),
]


@pytest.mark.parametrize(("edm", "one", "other", "insensitive", "sensitive"), SURE)
def test_an_order_is_certain_if_all_collations_agree(edm, one, other, insensitive, sensitive):
    for expected, is_insensitive in ((insensitive, True), (sensitive, False)):
        found = certain_order(edm, one, other, case_insensitive=is_insensitive)
        turned = certain_order(edm, other, one, case_insensitive=is_insensitive)

        assert found == expected
        assert turned == (None if expected is None else -expected)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("US-001", "us-001 ", True),
        ("É", "e", True),
        ("\uff21", "a", True),
        ("straße", "STRASSE", True),
        ("A-1", "A1", False),
        ("a", " a", False),
        ("", " ", True),
    ],
)
def test_texts_equal_in_some_collation_fold_alike(one, other, alike):
    assert (fold_text(one) == fold_text(other)) is alike
