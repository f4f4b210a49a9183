"""Framekit: a component kit for assembling your own web stack.

Pick components in ``kit.toml``, write handlers that name what they need, and let the kernel check
and compile all of it at start. `App` is where to begin.
"""

from __future__ import annotations

from msgspec import Meta

from kit.app import App
from kit.components import Component, Slot
from kit.errors import (
    ConfigError,
    Conflict,
    Forbidden,
    Invalid,
    InvalidValue,
    KitError,
    Problem,
    RecordNotFound,
    TemplateError,
    TooMany,
    Unauthorized,
    Unavailable,
)
from kit.events import Event, events
from kit.files import send_file
from kit.patterns import Converter, Native
from kit.plugins import hookimpl
from kit.providers import provider
from kit.requests import Request
from kit.responses import Response, abort, redirect, safe_next
from kit.routes import Routes
from kit.slots.formats import Data
from kit.slots.persistence.portable import Chosen
from kit.slots.persistence.records import Digits, Index, References, Unique
from kit.slots.validation import (
    Body,
    Form,
    MaxSize,
    MediaTypes,
    Patch,
    Private,
    Query,
    Upload,
    Widget,
)
from kit.sockets import Socket, SocketClosed
from kit.waiting import in_thread, wait

__version__ = "0.1.0"
__all__ = [
    "App",
    "Body",
    "Chosen",
    "Component",
    "ConfigError",
    "Conflict",
    "Converter",
    "Data",
    "Digits",
    "Event",
    "Forbidden",
    "Form",
    "Index",
    "Invalid",
    "InvalidValue",
    "KitError",
    "MaxSize",
    "MediaTypes",
    "Meta",
    "Native",
    "Patch",
    "Private",
    "Problem",
    "Query",
    "RecordNotFound",
    "References",
    "Request",
    "Response",
    "Routes",
    "Slot",
    "Socket",
    "SocketClosed",
    "TemplateError",
    "TooMany",
    "Unauthorized",
    "Unavailable",
    "Unique",
    "Upload",
    "Widget",
    "abort",
    "events",
    "hookimpl",
    "in_thread",
    "provider",
    "redirect",
    "safe_next",
    "send_file",
    "wait",
]
