"""Each test stores in a folder of its own: the default one cannot be made while tests run."""

from __future__ import annotations

import os

NOWHERE = f"{os.devnull}/data"
"""The value of ``XDG_DATA_HOME``, for this process and those that it starts. What uses it fails."""
