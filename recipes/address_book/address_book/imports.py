"""Import: a CSV file of contacts, with a report of the rows that cannot be stored."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Annotated

from address_book.records import Details
from kit import Data, Form, MaxSize, Meta, Routes, Upload, Widget, provider, redirect
from kit.slots.identity import logged_in

MOST_ROWS = 5000
COLUMNS = [one.name for one in fields(Details)]
GUARDED = re.compile(r"'+[=+@\t\r\n-]")  # as exports hide from spreadsheets what begins a formula

routes = Routes("/import", requires=logged_in)


@dataclass
class ImportForm:
    """The form of the import."""

    file: Annotated[
        Upload,
        Meta(title="CSV file", description="UTF-8, at most 2 MB and 5000 rows."),
        MaxSize("2 MB"),
        Widget("file", accept=".csv,text/csv"),
    ]
    all_or_nothing: Annotated[bool, Meta(title="Add nothing if there is a mistake")] = False


@dataclass
class Row:
    """A row of a file: the line where it begins, and what became of it."""

    line: int
    cells: dict[str, str]
    details: Details | None
    problems: list[dict[str, str]]


@dataclass
class Report:
    """What became of a file."""

    added: int = 0
    refused: list[Row] = field(default_factory=list)


@provider
def read_row(checker, environ):
    """The function that checks a row as the form of a contact is checked."""
    schema = checker.schema(Form[Details], Form)

    def checked(line: int, cells: dict[str, str]) -> Row:
        found = checker.input(Form, schema, environ, cells)
        return Row(line, cells, found.value if found.valid else None, found.problems)

    return checked


@routes.get("")
def choose(form: Form[ImportForm], render, inside):
    return render("import.html", form=form, report=None, columns=COLUMNS, **inside)


@routes.post("", again=choose, limits={"body": "2.5 MB"})
def import_file(form: Form[ImportForm], read_row, book, session, inside):
    given = form.value
    try:
        rows = [read_row(line, cells) for line, cells in read(given.file.read())]
    except ValueError as error:
        form.refuse(file=str(error))
    report = Report(refused=[row for row in rows if row.details is None])
    if not (report.refused and given.all_or_nothing):
        for row in rows:
            if row.details is not None:
                book.add(row.details)
                report.added += 1
    if not report.refused:
        session.flash(f"Contacts added: {report.added}.")
        return redirect("/contacts")
    refused = [{"line": row.line, "problems": row.problems} for row in report.refused]
    data = {"added": report.added, "refused": refused}
    page = {"form": form, "report": report, "columns": COLUMNS, **inside}
    return Data(data, template="import.html", **page), 200 if report.added else 422


def read(content: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line and the values of each row; raise ValueError for what is no such file."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("This is not UTF-8: save it as CSV in UTF-8.") from error
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    try:
        names = [name.strip().lower().replace(" ", "_") for name in next(reader, [])]
        if COLUMNS[0] not in names:
            raise ValueError(f"The first line names no column {COLUMNS[0]}.")
        line = reader.line_num + 1
        for number, cells in enumerate(reader, 1):
            if number > MOST_ROWS:
                raise ValueError(f"These are more than {MOST_ROWS} rows: take several files.")
            if any(cells):
                yield line, dict(zip(names, map(unguarded, cells), strict=False))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"Line {reader.line_num} cannot be read: {error}.") from error


def unguarded(cell: str) -> str:
    """Return what a cell held before an export put a quote in front of it."""
    return cell[1:] if GUARDED.match(cell) else cell
