"""What writing adds to a catalogue: the fields of ``Mutation``, their inputs and their payloads.

Nothing is kept for a set that nobody writes: names are derived (``naming``), fields are made when they are asked for.
``rules`` says what the settings allow, ``inputs`` and ``payloads`` what the types hold, ``operations`` which actions
and custom services there are; :class:`Writes` is the whole of it.
"""

from .catalog import Writes
from .rules import Patterns, WriteRules

__all__ = ["Patterns", "WriteRules", "Writes"]
