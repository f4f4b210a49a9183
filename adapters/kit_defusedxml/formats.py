"""XML, read by defusedxml, as a component of the slot formats.

The elements stand for the data, and need no attributes::

    <data>
      <name>Ada</name>
      <tags><item>first</item><item>second</item></tags>
    </data>

A dict is an element for each member, a list an ``item`` for each value, and any other value is
the text of its element. The name of the outermost element means nothing. Where elements alone
would not tell, an attribute does: a member whose name no element can have, or that is called
``item``, is an ``<item name="...">``, and ``type`` is ``list``, ``object`` or ``null`` for an
empty list, an empty dict, and None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from kit.errors import listing
from kit.jsons import DEEPEST
from kit.slots.formats import Unsupported, chunked, plain
from kit.slots.formats.plain import shown

_FIRST = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAME = re.compile(r"(?!item\Z|[xX][mM][lL])[A-Za-z_][A-Za-z0-9_.-]*\Z")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {ord(c): f"&#{ord(c)};" for c in "\r<>&"}
_ESCAPES_IN_NAMES = _ESCAPES | {ord(c): f"&#{ord(c)};" for c in '\t\n"'}
_EMPTY: Mapping[str, type] = {"null": type(None), "list": list, "object": dict}
_KINDS = {cls: name for name, cls in _EMPTY.items()}
_TOO_DEEP = f"it is nested more than {DEEPEST} levels deep"


class XmlFormat:
    """XML in UTF-8. Document types, entities, namespaces and other attributes are refused."""

    media_types = ("application/xml", "text/xml")
    suffix = "xml"
    as_text = True
    lacks: ClassVar = {"typed": "an element holds text"}

    def dump(self, data: object) -> bytes:
        """Return the data; raise `Unsupported` for characters that XML cannot have."""
        return f"{_FIRST}{''.join(_element('data', '', plain(data)))}\n".encode()

    def stream(self, items: Iterator[object]) -> Iterator[bytes]:
        """Return the rows, an ``item`` each."""
        return chunked(piece.encode() for piece in _document(items))

    def load(self, body: bytes) -> Any:
        """Return the data, with text for every value."""
        target = _Reading()
        parser: Any = DefusedXMLParser(target=target, encoding="utf-8", forbid_dtd=True)
        parser.parser.XmlDeclHandler = _check_encoding
        try:
            parser.feed(body)
            return parser.close()
        except DefusedXmlException as error:
            raise ValueError("it has a document type, which is refused") from error
        except ParseError as error:
            raise ValueError(str(error)) from error


def _document(items: Iterator[object]) -> Iterator[str]:
    yield _FIRST
    empty = True
    for item in items:
        yield ("<data>\n" if empty else "") + "".join(_element("item", "", plain(item))) + "\n"
        empty = False
    yield '<data type="list"/>\n' if empty else "</data>\n"


def _element(name: str, attribute: str, value: Any) -> Iterator[str]:
    if not value and (kind := _KINDS.get(type(value))):
        yield f'<{name}{attribute} type="{kind}"/>'
        return
    yield f"<{name}{attribute}>"
    if isinstance(value, dict):
        for key, member in value.items():
            plainly = _NAME.match(key)
            yield from _element(key, "", member) if plainly else _named(key, member)
    elif isinstance(value, list):
        for item in value:
            yield from _element("item", "", item)
    else:
        yield _escaped(shown(value), _ESCAPES)
    yield f"</{name}>"


def _named(key: str, member: Any) -> Iterator[str]:
    return _element("item", f' name="{_escaped(key, _ESCAPES_IN_NAMES)}"', member)


def _escaped(text: str, escapes: Mapping[int, str]) -> str:
    if found := _NOT_XML.search(text):
        raise Unsupported(f"XML cannot have the character U+{ord(found[0]):04X}")
    return text.translate(escapes)


def _check_encoding(version: str, encoding: str | None, standalone: int) -> None:
    if encoding and encoding.lower() not in ("utf-8", "us-ascii"):
        raise ValueError(f"its encoding is {encoding}: send UTF-8")


class _Element:
    """An element that is being read: what its attributes, children and text are so far."""

    def __init__(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.name = attributes.get("name") if tag == "item" else tag
        self.kind = attributes.get("type", "")
        self.children: list[tuple[str | None, Any]] = []
        self.text: list[str] = []

    def value(self) -> Any:
        """Return what the element stands for; its name is None where it is a list's item."""
        text = "".join(self.text)
        if (self.kind or self.children) and text.strip():
            raise ValueError(f"there is text beside elements: {text.strip()[:100]!r}")
        if self.kind:
            if self.kind not in _EMPTY or self.children:
                raise ValueError(f"type={self.kind!r} is not one of {listing(_EMPTY)}, and empty")
            return _EMPTY[self.kind]()
        names = {name for name, _ in self.children}
        if names == {None}:
            return [value for _, value in self.children]
        if None in names or len(names) < len(self.children):
            raise ValueError("elements side by side are all named item, or each in another way")
        return dict(self.children) if names else text


class _Reading:
    """Takes what the parser finds, and makes plain data of it; it stops where that is too deep."""

    def __init__(self) -> None:
        self._open: list[_Element] = []
        self._data: Any = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Open an element, if it may be there."""
        known = {"type", "name"} if tag == "item" else {"type"}
        if "}" in tag or not attributes.keys() <= known:
            raise ValueError(f"it has a namespace or another attribute than type: {tag[:100]!r}")
        if len(self._open) > DEEPEST:
            raise ValueError(_TOO_DEEP)
        self._open.append(_Element(tag, attributes))

    def data(self, text: str) -> None:
        """Add to the text of the innermost element."""
        if self._open:
            self._open[-1].text.append(text)

    def end(self, tag: str) -> None:
        """Close an element, and give its value to the one around it."""
        element = self._open.pop()
        self._data = element.value()
        if self._open:
            self._open[-1].children.append((element.name, self._data))
        if len(self._open) == DEEPEST and isinstance(self._data, (list, dict)):
            raise ValueError(_TOO_DEEP)

    def close(self) -> Any:
        """Return the value of the outermost element."""
        return self._data
