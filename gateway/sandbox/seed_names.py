"""Words the rows are made of, and the awkward ones: every kind of text that has broken an OData client once."""

from __future__ import annotations

FIRST = ("Anna", "Björn", "Chen", "Dalia", "Erik", "Fatima", "Grace", "Hiroshi", "Ines", "Jörg", "Karim", "Łucja", "Mei", "Noah",
         "Olga", "Priya", "Quentin", "Rosa", "Søren", "Tariq")  # fmt: skip
LAST = ("Andersen", "Bauer", "Castillo", "Dubois", "Eriksson", "Fischer", "García", "Hansen", "Ivanova", "Johnson", "Kowalski",
        "Lindqvist", "Müller", "Nakamura", "O'Neil", "Petrov", "Quinn", "Rossi", "Schäfer", "Tanaka")  # fmt: skip
TRADES = ("Wholesales", "Electronics", "Grocers", "Outfitters", "Systems", "Furniture", "Motors", "Foods", "Textiles", "Audio",
          "Lighting", "Logistics")  # fmt: skip
PLACES = ("Forest", "Birch", "Desert", "Lakeview", "Sparrow", "Cave", "Orchid", "Whale", "Pelican", "Sunset", "Maple", "Turtle",
          "Rainbow", "Falcon", "Grebe", "Lion", "Owl", "Shrike", "Cardinal", "Heron")  # fmt: skip
THINGS = ("Speaker", "Television", "Projector", "Cable", "Receiver", "Subwoofer", "Headphones", "Soundbar", "Amplifier", "Turntable",
          "Screen", "Remote control", "Tuner", "Microphone", "Battery")  # fmt: skip
GRADES = ("Standard", "Mid-range", "High end", "Compact", "Portable", "Professional", "Outdoor")
STREETS = (
    "Main Street",
    "Oak Avenue",
    "Station Road",
    "Harbour Lane",
    "Hill Road",
    "Market Square",
)
CITIES = {
    "USA": ("Seattle", "Portland", "Denver", "Austin", "Boston", "New York"),
    "DEU": ("München", "Köln", "Düsseldorf", "Hamburg", "Görlitz", "Berlin"),
}

# account suffix → name: quotes, separators and signs of URLs, LIKE and wildcards, other scripts, blanks, emptiness
AWKWARD = (
    ("O'NEIL", "O'Neil & Sons"),
    ("A/B", "A/B Testing"),
    ("50%", "50% Off"),
    ("A+B", "A + B Partners"),
    ("#1", "#1 Choice"),
    ("R&D", "Research & Development"),
    ("K=V?", "Key=Value? Inc."),
    ("ÄÖÜ-東京", "Ähre, Öl und Übermut 東京"),
    ("X_Y", "Under_score 100%_sure"),
    ("BS\\1", "Back\\slash"),
    ("DOT.", "Trailing dot."),
    ("SP ACE", "  two  blanks  "),
    ("STAR", "Five *star* wholesale"),
    ('Q"Q', 'The "Quoted" Company'),
    ("(P),1", "Parens (and, commas)"),
    ("EMOJI", "Smile 😀 Ltd."),
    ("NL", "Line\nbreak\tand tab"),
    ("BLANK ", "Trailing blanks   "),
    ("NAMELESS", ""),
)
