"""CSV and plain text by the standard library, as components of the slot formats."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NoReturn

from kit.slots.formats import FormatsOptions, Unsupported, chunked, plain, rows
from kit.slots.formats.plain import shown

# What spreadsheets take for a formula, also written full-width; a negative number is none. Quotes
# before it count too, so that reading takes away just what writing has put there.
_FORMULA = re.compile(
    r"'*(?:[=+@\t\r\n\uff1d\uff0b\uff0d\uff20]|-(?![0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z))"
)


@dataclass(frozen=True, kw_only=True)
class CsvOptions(FormatsOptions):
    """Options of the format ``csv``.

    Unless `formulas` are wanted, ``'`` is put before text that a spreadsheet would take for one,
    and taken away when such text is read. `delimiter` stands between the cells; where a comma is
    the decimal sign, spreadsheets expect ``";"``. `bom` begins a file with the mark by which Excel
    knows UTF-8.
    """

    formulas: bool = False
    delimiter: Literal[",", ";", "\t"] = ","
    bom: bool = False


class CsvFormat:
    """CSV in UTF-8 with a header (RFC 4180). A list or dict within a row is JSON in its cell."""

    media_types = ("text/csv; charset=utf-8",)
    suffix = "csv"
    as_text = True
    rows = True
    lacks: ClassVar = {
        "nested": "the rows of a table are records of single values",
        "typed": "a cell holds text",
        "none": "an empty cell is None, or an empty text",
    }

    def __init__(self, options: CsvOptions) -> None:
        self._formulas = options.formulas
        self._delimiter = options.delimiter
        self._mark = b"\xef\xbb\xbf" if options.bom else b""

    def dump(self, data: object) -> bytes:
        """Return a line with the names of all fields, and one for each row of `rows`.

        Rows may be lists too, without names. Raises `Unsupported` for rows of another kind.
        """
        table = rows(data)
        names = dict.fromkeys(name for row in table if isinstance(row, dict) for name in row)
        return b"".join(self._lines(table, list(names)))

    def stream(self, items: Iterator[object]) -> Iterator[bytes]:
        """Return a line for each row; the names are those of the first row."""
        return chunked(self._lines(map(plain, items), []))

    def load(self, body: bytes) -> list[dict[str, str]]:
        """Return a dict for each line after the first, of as many cells as the line has."""
        text = io.StringIO(body.decode("utf-8-sig"), newline="")
        lines = csv.reader(text, delimiter=self._delimiter, strict=True)
        try:
            names = [self._read(cell) for cell in next(lines, [])]
            if len(set(names)) < len(names):
                raise ValueError("two columns have the same name")
            return [
                dict(zip(names, map(self._read, cells), strict=False))
                for cells in lines
                if cells and _fits(cells, names, lines.line_num)
            ]
        except csv.Error as error:
            raise ValueError(f"line {lines.line_num}: {error}") from error

    def _lines(self, table: Iterable[Any], names: list[str]) -> Iterator[bytes]:
        write = csv.writer(_Encoding(), delimiter=self._delimiter).writerow
        kind: type | None = None
        for row in table:
            if type(row) not in (dict, list) or kind not in (None, type(row)):
                raise Unsupported("the rows of CSV are records, or all of them lists")
            if kind is None:
                kind = type(row)
                names = names or list(row)
                yield self._mark
                if kind is dict:
                    yield write(map(self._cell, names))
            if kind is dict and not row.keys() <= set(names):
                raise Unsupported("a row has a field that the first one has not")
            yield write(map(self._cell, map(row.get, names) if kind is dict else row))

    def _cell(self, value: Any) -> str:
        text = shown(value)
        guarded = isinstance(value, str) and not self._formulas and _FORMULA.match(value)
        return f"'{text}" if guarded else text

    def _read(self, cell: str) -> str:
        guarded = cell.startswith("'") and not self._formulas and _FORMULA.match(cell)
        return cell[1:] if guarded else cell


class _Encoding:
    """A file for `csv.writer`, whose writerow returns what this returns."""

    def write(self, line: str) -> bytes:
        return line.encode()


def _fits(cells: list[str], names: list[str], line: int) -> bool:
    if len(cells) > len(names):
        raise ValueError(f"line {line} has {len(cells)} cells, but the first has {len(names)}")
    return True


class TextFormat:
    """Text for people: a line for each member, with what is in it below and to the right."""

    media_types = ("text/plain; charset=utf-8",)
    suffix = "txt"
    loads = False
    lacks: ClassVar = dict.fromkeys(
        ("loads", "nested", "typed", "none", "duplicates"), "it is for people, and is not read"
    )

    def dump(self, data: object) -> bytes:
        """Return the lines of the data."""
        return "".join(f"{line}\n" for line in _outline(plain(data))).encode()

    def stream(self, items: Iterator[object]) -> Iterator[bytes]:
        """Return the lines of each row."""
        return chunked(self.dump([item]) for item in items)

    def load(self, body: bytes) -> NoReturn:
        """Raise ValueError: it is not read."""
        raise ValueError("plain text is not read")


def _outline(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            first, *others = [*_outline(item)] or [""]
            yield f"- {first}".rstrip()
            yield from (f"  {line}" for line in others)
    elif isinstance(value, dict):
        for name, member in value.items():
            lines = [*_outline(member)]
            if isinstance(member, (dict, list)) or len(lines) > 1:
                yield f"{name}:"
                yield from (f"  {line}" for line in lines)
            else:
                yield f"{name}: {shown(member)}".rstrip()
    else:
        yield from shown(value).splitlines()
