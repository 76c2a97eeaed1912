"""The catalogue of writes: the fields of ``Mutation``, their inputs and their payloads.

Sets that are never written cost nothing: names are derived (``naming``) and fields computed on demand. ``rules`` are
the settings, ``allowed`` applies them and the annotations, ``inputs`` and ``payloads`` hold the fields of types,
``operations`` the actions and custom services; :class:`Writes` is the facade.
"""

from .catalog import Writes
from .rules import Patterns, WriteRules

__all__ = ["Patterns", "WriteRules", "Writes"]
