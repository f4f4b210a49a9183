"""Compression (stub)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ResponsesOptions:
    """The table ``[responses]``."""

    compress: bool = False


def compressing(options: ResponsesOptions) -> Any:
    """Stub."""
