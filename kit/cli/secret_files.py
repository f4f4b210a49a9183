"""Secret files: made for development where ``secret_key = "file:NAME"`` names a missing one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from kit.config import Config


def secret_file(config: Config) -> Path | None:
    """Return the file that ``[app] secret_key`` names, or None where it names none."""
    setting = config.get("app", "secret_key")
    text = str(setting.value) if setting else ""
    return config.folder / text.removeprefix("file:") if text.startswith("file:") else None


def make_secret_file(config: Config) -> Path | None:
    """Write a fresh key, readable by its owner only, if the file is missing; return its path.

    Returns None where there is nothing to make.
    """
    file = secret_file(config)
    if file is None or file.exists() or not file.parent.is_dir():
        return None
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="ascii") as stream:
        stream.write(f"{secrets.token_urlsafe(48)}\n")
    return file
