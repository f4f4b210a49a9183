"""The standard library of Python for Framekit: what needs no other library."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl

FACTORIES = {
    "formats.csv": "kit_stdlib.formats:CsvFormat",
    "formats.text": "kit_stdlib.formats:TextFormat",
    "passwords.scrypt": "kit_stdlib.passwords:ScryptPasswords",
    "mail.console": "kit_stdlib.mail:ConsoleMail",
    "mail.file": "kit_stdlib.mail:FileMail",
    "mail.smtp": "kit_stdlib.mail:SmtpMail",
    "channels.memory": "kit_stdlib.channels:MemoryChannels",
    "identity.session": "kit_stdlib.identity:SessionIdentity",
    "identity.basic": "kit_stdlib.identity:BasicIdentity",
    "identity.api_key": "kit_stdlib.identity:ApiKeyIdentity",
}
"""Where each component is, by its slot and name; its module is imported when it is chosen."""


@hookimpl
def kit_components() -> list[Component]:
    """Declare the components of the slots formats, passwords, mail, channels and identity."""
    named = [(name.partition("."), factory) for name, factory in FACTORIES.items()]
    return [Component(slot=slot, name=name, factory=factory) for (slot, _, name), factory in named]
