"""WTForms as the component of the slot validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import wtforms
from werkzeug.datastructures import MultiDict
from wtforms import validators

from kit.slots.validation import (
    Checked,
    Choice,
    DataclassSchema,
    Failure,
    Field,
    Judge,
    Schema,
    ValidationOptions,
)
from kit.slots.validation import json_schemas
from kit.slots.validation.fields import NOTHING
from kit.slots.validation.schemas import broken, in_order, walk
from kit.slots.validation.text import prepared
