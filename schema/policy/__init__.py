"""Who may see and change what: roles, and what callers with a set of roles see. Pure; nothing is read or sent.

records    roles as they are declared
view       one set of roles: which sets, columns and rights it gives
"""

from .records import Limits, Mask, Policy, Right, Role, SetGrant
from .view import ColumnAccess, Grant, RoleView

__all__ = [
    "ColumnAccess",
    "Grant",
    "Limits",
    "Mask",
    "Policy",
    "Right",
    "Role",
    "RoleView",
    "SetGrant",
]
