"""The measured shape of a Finance & Operations ``$metadata`` document: how many of what, and how they are distributed.

The figures are those of one environment with all modules switched on (3,868 public entity sets). Histograms are
written as ``size:count``. They are exact where a histogram says so; shares are what the dice are loaded with.
"""

from __future__ import annotations


def histogram(text: str) -> dict[int, int]:
    """Return ``"1:20 2:590"`` as a mapping."""
    pairs = (pair.split(":") for pair in text.split())
    return {int(size): int(count) for size, count in pairs}


KEY_PARTS = histogram(
    "0:7 1:580 2:1496 3:846 4:374 5:204 6:133 7:65 8:41 9:22 10:23 11:20 12:19 13:14 14:10 15:3 16:4 17:2 18:2"
    " 19:2 20:1"
)
"""Entity types by the number of properties in their key."""

PROPERTIES = histogram(
    """
    1:14 2:178 3:443 4:352 5:301 6:261 7:190 8:183 9:143 10:166 11:150 12:123 13:110 14:84 15:80 16:73 17:52 18:45 19:54
    20:46 21:42 22:34 23:42 24:40 25:28 26:27 27:23 28:23 29:26 30:19 31:16 32:14 33:13 34:12 35:10 36:13 37:19 38:17
    39:8 40:13 41:14 42:9 43:8 44:7 45:8 46:11 47:14 48:11 49:11 50:13 51:5 52:11 53:8 54:4 55:3 56:3 57:12 58:13 59:5
    60:8 61:4 62:5 63:5 64:4 65:3 66:2 67:3 68:3 69:4 70:4 71:5 72:3 73:2 74:3 76:1 77:3 78:2 79:3 80:3 81:3 82:4 83:6
    84:2 85:4 86:4 87:2 88:2 89:1 90:3 92:4 93:3 94:2 95:3 96:1 97:4 98:2 100:5 101:4 104:1 106:2 107:2 110:1 111:4
    112:2 114:1 115:1 118:2 120:2 123:1 125:1 126:1 127:3 128:3 131:1 132:2 134:2 135:1 136:2 137:2 138:1 139:2 140:3
    141:1 144:4 147:1 148:1 151:1 155:2 157:2 164:1 168:1 170:1 173:1 174:1 185:1 186:1 187:1 190:1 191:1 193:1 194:3
    196:1 210:1 221:1 222:1 238:1 247:1 251:1 253:1 257:1 266:1 280:1 290:1 305:1
    """
)
"""Entity types by the number of their properties: 67,388 in all."""

NAVIGATIONS = histogram(
    """
    0:2194 1:582 2:426 3:167 4:121 5:90 6:63 7:45 8:35 9:20 10:17 11:17 12:16 13:20 14:3 15:3 16:4 17:8 18:2 19:3 20:5
    21:2 22:2 24:1 27:1 31:1 32:1 35:1 36:1 37:1 38:1 39:2 40:1 41:3 44:1 46:1 53:1 57:1 61:1 103:1 155:1 186:1 203:1
    """
)
"""Entity types by the number of their navigation properties: 6,806 in all."""

MEMBERS = histogram(
    """
    1:20 2:590 3:555 4:303 5:156 6:94 7:72 8:52 9:34 10:41 11:20 12:15 13:18 14:12 15:6 16:6 17:3 18:4 19:4 20:3 21:4
    22:2 23:3 24:1 25:1 26:3 28:4 29:1 33:1 34:1 35:3 37:5 39:1 41:1 43:3 46:1 49:2 52:1 54:1 56:1 59:1 68:1 70:1 78:1
    80:1 92:1 100:1 105:1 151:1 243:1
    """
)
"""Enumeration types by the number of their members: 2,058, without the vocabulary's own AXType."""

TYPES = {
    "Edm.String": 28082,
    "enum": 12674,
    "Edm.Decimal": 7319,
    "Edm.DateTimeOffset": 3609,
    "Edm.Int32": 2268,
    "Edm.Int64": 1531,
    "Edm.Guid": 112,
    "Edm.Binary": 82,
    "Edm.Boolean": 69,
}
"""Properties outside of keys by type."""

KEY_TYPES = {
    "Edm.String": 6666,
    "Edm.DateTimeOffset": 622,
    "Edm.Decimal": 502,
    "enum": 474,
    "Edm.Int64": 392,
    "Edm.Int32": 287,
    "Edm.Guid": 107,
    "Edm.Boolean": 2,
}
"""Properties in keys by type, without dataAreaId; those of an enumeration type are nullable, no others."""

WITH_COMPANY = 2590
"""Entity types whose key begins with dataAreaId."""

NO_YES_SHARE = 0.55
"""Of the properties of an enumeration type, those of NoYes."""

DATE_SHARE = 0.70
"""Of the date-times, those that only hold a date: AXType alone says so."""

TIME_SHARE = 0.08
"""Of the 32-bit integers, those that hold a time of day in seconds."""

MANY_PAIRS = 0.937
"""Of the pairs of partners, those with a collection on one side; the others are one to one."""

REQUIRED_NAVIGATIONS = 0.34
"""Of the navigations to one row, those that say ``Nullable="false"``."""

SET_NAMED_AS_TYPE = 253
"""Entity sets that bear the name of their own type."""

VERSIONED = {"V2": 217, "V3": 30, "V4": 6, "V5": 2}
"""Entity sets by the version at the end of their name."""

HUBS = {
    "DimensionCombination": 203,
    "DimensionSet": 186,
    "Worker": 155,
    "ReleasedProductV2": 103,
    "Currency": 61,
    "Warehouse": 57,
    "DimensionAttribute": 53,
    "OperationalSite": 46,
    "Person": 44,
    "VendorV2": 40,
    "CustomerV3": 38,
}
"""Entity types that much refers to, with the number of their navigations."""

WIDEST = "CustomerV3"
"""The entity type with the most properties."""

ACTIONS = 120
"""Bound actions; the number is not measured."""
