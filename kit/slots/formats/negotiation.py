"""Negotiation: which format answers a request, and which one reads it (RFC 9110, section 12).

A format is picked by the suffix of the path or by a parameter of the query where the
configuration has these, and else by the header Accept: by its weights, of which the one of the
most specific range counts, and among equals in the order of the configuration. What is malformed
in that header is as if it were not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from urllib.parse import unquote_plus

from werkzeug.exceptions import BadRequest, NotAcceptable, UnsupportedMediaType

from kit.errors import listing
from kit.slots.formats.plain import Unsupported

if TYPE_CHECKING:
    from kit.slots.formats import Format, FormatsOptions

T = TypeVar("T")
Header = tuple[str, str]
Environ = Mapping[str, Any]
Made = tuple[str, list[Header], bytes | Iterator[bytes]]
"""The status line, headers and body of an answer with data."""

Offers = tuple[tuple[str, str], ...]
"""Names of formats, each with a media type for its answers, the best first."""

SUFFIXED = "kit.format"
"""The key of the environ under which the gateway notes the format that a suffix named."""

LONGEST = 1000
"""An Accept header of more characters is as if it were not there."""

_OK = "200 OK"
_TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - so it is called in section 5.6.2
_TYPE = re.compile(f"({_TOKEN})/({_TOKEN})")
_ELEMENT = re.compile(r'(?:[^,"]|"[^"]*")+')
_PART = re.compile(r'(?:[^;"]|"[^"]*")+')
_WEIGHT = re.compile(r"0|0?\.[0-9]+|0\.|1(?:\.0*)?")
_TAG = re.compile(r'"[^"]*"')
_UTF_8 = {("charset", "utf-8"), ("charset", "utf8"), ("charset", "us-ascii")}


class Data(Generic[T]):
    """The result of a handler that is shown in the format that the client asks for.

    `value` is what every format shows: a dict, a list, a dataclass, or an iterator of rows, which
    are sent as they come. The format ``html`` is offered if there is a `template`. It is filled
    with the members of `value` if that is a dict, else with `value` as ``data``, and with `page`,
    which no other format shows. The annotation ``Data[list[Contact]]`` says what `value` is.
    """

    __slots__ = ("page", "template", "value")

    def __init__(self, value: T, /, template: str = "", **page: Any) -> None:
        self.value = value
        self.template = template
        self.page = page


class _Range(NamedTuple):
    """A media type or range with its weight, and its parameters but for the charset UTF-8."""

    main: str
    sub: str
    parameters: frozenset[tuple[str, str]]
    weight: float

    def covers(self, offer: _Range) -> int:
        """Return how specific this range is about a media type; 0 if it does not cover it."""
        if not self.parameters <= offer.parameters:
            return 0
        if (self.main, self.sub) == (offer.main, offer.sub):
            return 3 + len(self.parameters)
        if self.sub != "*":
            return 0
        return 2 if self.main == offer.main else int(self.main == "*")


_ANY = _Range("*", "*", frozenset(), 1.0)


def media_range(text: str) -> _Range | None:
    """Read one media type or range; return None where it is malformed."""
    name, *rest = [part.strip() for part in _PART.findall(text)] or [""]
    found = _TYPE.fullmatch("*/*" if name == "*" else name.lower())
    if not found or (found[1] == "*" and found[2] != "*"):
        return None
    parameters: list[tuple[str, str]] = []
    for part in rest:
        key, _, value = part.partition("=")
        key, value = key.strip().lower(), value.strip().strip('"').lower()
        if key == "q":
            if not _WEIGHT.fullmatch(value):
                return None
            return _Range(found[1], found[2], frozenset(parameters), float(value))
        if (key, value) not in _UTF_8:
            parameters.append((key, value))
    return _Range(found[1], found[2], frozenset(parameters), 1.0)


def acceptable(accept: str, offers: Offers) -> Offers:
    """Return those of `offers` that the header Accept takes, the best first, each format once."""
    asked = _ELEMENT.findall(accept) if len(accept) <= LONGEST else []
    ranges = [one for element in asked if (one := media_range(element))] or [_ANY]
    weights = {offer: _weight(offer[1], ranges) for offer in offers}
    best: dict[str, str] = {}
    for name, label in sorted(weights, key=lambda offer: -weights[offer]):
        if weights[name, label]:
            best.setdefault(name, label)
    return tuple(best.items())


def _weight(label: str, ranges: Iterable[_Range]) -> float:
    """Return the weight that the most specific range gives a media type; 0 if none covers it."""
    offer = media_range(label)
    if offer is None:
        return 0
    level, weight = max((one.covers(offer), one.weight) for one in ranges)
    return weight if level else 0


def entity_tag(body: bytes) -> str:
    """Return the tag of a body: a weak one, since whoever compresses it sends other bytes."""
    return f'W/"{blake2b(body, digest_size=16).hexdigest()}"'


def has_tag(header: str, tag: str) -> bool:
    """Say whether the header If-None-Match names a tag (RFC 9110, section 13.1.2)."""
    return header.strip() == "*" or tag.removeprefix("W/") in _TAG.findall(header)


class Negotiator:
    """Makes answers of data, and data of bodies, in the formats of an application."""

    def __init__(self, formats: Mapping[str, Format], options: FormatsOptions) -> None:
        self.formats = formats
        self._etag = options.etag
        self._naming = options.suffix or bool(options.parameter)
        self._parameter = options.parameter and re.compile(
            f"(?:^|&){re.escape(options.parameter)}=([^&]*)"
        )
        self._suffixes = {one.suffix: name for name, one in formats.items()}
        self._pages = {name for name, one in formats.items() if getattr(one, "pages", False)}
        offers = tuple((name, label) for name, one in formats.items() for label in one.media_types)
        plain = tuple(offer for offer in offers if offer[0] not in self._pages)
        self._offers = {False: plain, True: offers}
        self._varies = {page: len(dict(some)) > 1 for page, some in self._offers.items()}
        self._choose = {
            page: lru_cache(256)(partial(acceptable, offers=some))
            for page, some in self._offers.items()
        }
        self._reader = lru_cache(64)(self._read_by)
        self._refused: dict[type, str] = {}
        self.data: Callable[[Environ, Any], Made] = self._data
        if len(formats) == 1 and not (self._etag or self._naming):
            self.data = self._only(*formats.values())

    def refuse(self, cls: type, why: str) -> None:
        """Never show an instance of a class as data, such as a user with its password."""
        if not self._refused:
            self._made = self.data
            self.data = self._checked
        self._refused[cls] = why

    def _checked(self, environ: Environ, result: Any) -> Made:
        data = result if isinstance(result, Data) else Data(result)
        if isinstance(data.value, Iterator):
            rows = _Rows(data.value)
            self._check(rows.first, 4)
            return self._made(environ, Data(rows, data.template, **data.page))
        self._check(data.value, 4)
        return self._made(environ, result)

    def _check(self, value: Any, depth: int) -> None:
        if type(value) in self._refused:
            why = self._refused[type(value)]
            raise TypeError(f"{type(value).__name__} is not shown as data: {why}")
        inner: Iterable[Any] = ()
        if isinstance(value, Mapping):
            inner = value.values()
        elif isinstance(value, (list, tuple, set)):
            inner = value
        elif is_dataclass(value):
            inner = getattr(value, "__dict__", {}).values()
        for one in inner if depth else ():
            self._check(one, depth - 1)

    def _only(self, one: Format) -> Callable[[Environ, Any], Made]:
        """Return what makes answers where there is nothing to choose but one format."""
        choose, dump, general = self._choose[False], one.dump, self._data

        def data(environ: Environ, result: Any) -> Made:
            if isinstance(result, Data) or not (chosen := choose(environ.get("HTTP_ACCEPT", ""))):
                return general(environ, result)
            return _OK, [("Content-Type", chosen[0][1])], dump(result)

        return data

    def _data(self, environ: Environ, result: Any) -> Made:
        """Return status line, headers and body for what a handler returned: `Data`, or data.

        Raises 406, with a list of what there is, if no format that has the data is acceptable, and
        TypeError if none has it at all.
        """
        data = result if isinstance(result, Data) else None
        value = data.value if data else result
        page = bool(data and data.template)
        named = self._named(environ) if self._naming else None
        rows = _Rows(value) if hasattr(value, "__next__") else None
        if data and rows:
            data = Data(rows, data.template, **data.page)
        failed: dict[str, Unsupported] = {}
        for name, label in self._choices(environ, named, page):
            one = self.formats[name]
            try:
                if name in self._pages:
                    body: bytes | Iterator[bytes] = one.dump(data)
                else:
                    body = one.dump(value) if rows is None else rows.streamed(one)
            except Unsupported as error:
                failed[name] = error
                continue
            headers = [("Content-Type", label)]
            if named is None and self._varies[page]:
                headers.append(("Vary", "Accept"))
            if self._etag and isinstance(body, bytes) and name not in self._pages:
                return self._tagged(environ, headers, body)
            return _OK, headers, body
        if rows:
            rows.close()
        raise self._refusal(page, failed)

    def _refusal(self, page: bool, failed: Mapping[str, Unsupported]) -> Exception:
        left = [self.formats[name] for name in dict(self._offers[page]) if name not in failed]
        if not left:
            reasons = [f" {name}: {error}." for name, error in failed.items()]
            return TypeError(f"[formats] uses no format that has this data.{''.join(reasons)}")
        types = listing(_essence(one.media_types[0]) for one in left)
        return NotAcceptable(f"This address answers in: {types}.")

    def _choices(self, environ: Environ, named: str | None, page: bool) -> Offers:
        """Return the formats to try, the best first; where one is named, only that."""
        if named is not None:
            return tuple(offer for offer in self._offers[page] if offer[0] == named)[:1]
        return self._choose[page](environ.get("HTTP_ACCEPT", ""))

    def _named(self, environ: Environ) -> str | None:
        """Return the name of the format that a suffix or parameter asks for, if there is one."""
        name = environ.get(SUFFIXED)
        if self._parameter and name is None:
            found = self._parameter.search(environ.get("QUERY_STRING", ""))
            name = unquote_plus(found[1]) if found else None
            name = self._suffixes.get(name, name) if name else name
        return name

    def _tagged(self, environ: Environ, headers: list[Header], body: bytes) -> Made:
        """Add the tag of an answer, and leave out the body if the client has it already."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _OK, headers, body
        tag = entity_tag(body)
        headers.append(("ETag", tag))
        if has_tag(environ.get("HTTP_IF_NONE_MATCH", ""), tag):
            return "304 Not Modified", headers, b""
        return _OK, headers, body

    def without_suffix(self, path: str) -> tuple[str, str] | None:
        """Return a path without the suffix of a format, and that format's name; None without."""
        head, _, suffix = path.rpartition(".")
        name = self._suffixes.get(suffix)
        return (head, name) if name and not head.endswith("/") else None

    def reader(self, content_type: str) -> Format | None:
        """Return the format that reads bodies of a Content-Type; None if none does.

        A suffix of structured syntax counts (RFC 6839): ``application/hal+json`` is JSON.
        """
        return self._reader(content_type)

    def _read_by(self, content_type: str) -> Format | None:
        media = media_range(content_type)
        if media is None or any(key == "charset" for key, _ in media.parameters):
            return None
        _, _, syntax = media.sub.rpartition("+")
        for one in self.formats.values():
            named = f"{media.main}/{media.sub}" in map(_essence, one.media_types)
            if _loads(one) and (named or ("+" in media.sub and syntax == one.suffix)):
                return one
        return None

    @property
    def readable(self) -> list[str]:
        """The media types of all formats that can read, one for each."""
        return [_essence(one.media_types[0]) for one in self.formats.values() if _loads(one)]

    def read(self, content_type: str, body: bytes) -> Any:
        """Return the data of a body; raise 415 for a type that is not read, 400 if malformed."""
        by = self.reader(content_type)
        if by is None:
            raise UnsupportedMediaType(f"Send one of: {listing(self.readable)}.")
        try:
            return by.load(body)
        except ValueError as error:
            kind = _essence(by.media_types[0])
            raise BadRequest(f"The body is not valid {kind}: {error}") from error


class _Rows:
    """An iterator of rows whose first one is known beforehand."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self.first = list(islice(items, 1))
        self._all = chain(self.first, items)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._all)

    def close(self) -> None:
        """End the iterator, if it is one that can be ended."""
        if hasattr(self._items, "close"):
            self._items.close()

    def streamed(self, by: Format) -> Iterator[bytes]:
        """Return the rows in a format; raise `Unsupported` if it has not the first of them."""
        by.dump(self.first)
        return self._chunks(by)

    def _chunks(self, by: Format) -> Iterator[bytes]:
        try:
            yield from by.stream(self)
        finally:
            self.close()


def _loads(one: Format) -> bool:
    return bool(getattr(one, "loads", True))


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()
