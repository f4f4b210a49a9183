"""The first-party components keep the contract of their slot."""

from __future__ import annotations

from kit_msgspec.validation import MsgspecValidation
from kit_pydantic.validation import PydanticValidation
from kit_wtforms.validation import WTFormsValidation

from kit.contracts.validation import ValidationContract
from kit.slots.validation import ValidationOptions


class TestMsgspec(ValidationContract):
    def make(self, options: ValidationOptions) -> MsgspecValidation:
        return MsgspecValidation(options)


class TestPydantic(ValidationContract):
    def make(self, options: ValidationOptions) -> PydanticValidation:
        return PydanticValidation(options)


class TestWTForms(ValidationContract):
    def make(self, options: ValidationOptions) -> WTFormsValidation:
        return WTFormsValidation(options)
