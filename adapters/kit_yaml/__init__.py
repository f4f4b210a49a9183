"""PyYAML for Framekit: the component ``yaml`` of the slot formats."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component; PyYAML is imported when it is chosen."""
    return [
        Component(
            slot="formats",
            name="yaml",
            factory="kit_yaml.formats:YamlFormat",
            library="pyyaml",
            install="framekit[yaml]",
        )
    ]
