"""The engine: executes the operations of one schema against one upstream."""

from .engine import Engine as Engine
