"""A version's files for those who embed it."""

from __future__ import annotations
