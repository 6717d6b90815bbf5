"""The pytest plugin. Importing it costs next to nothing: pytest loads it in every project that has it installed."""

from __future__ import annotations
