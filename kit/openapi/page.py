"""The page: what the document says, for people, without any script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from markupsafe import Markup

JSON = Mapping[str, Any]
_REF = "#/components/"
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches {}",
}

_FORMATS = {
    "date": "as 2024-12-31",
    "date-time": "as 2024-12-31T12:30:00Z",
    "time": "as 12:30:00",
    "duration": "as P1DT30S",
    "uuid": "a UUID",
    "decimal": "of a decimal number",
    "binary": "the bytes of a file",
}

_PAGE = Markup("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="style.css">
<header>
<h1>{title} <small>{version}</small></h1>
{description}
<p><a href="openapi.json">openapi.json</a></p>
</header>
<main>
{sections}
</main>
<section class="schemas">
<h2 id="schemas">Data</h2>
{schemas}
</section>
""")
_OPERATION = Markup("""<details class="{method}" id="{id}">
<summary><span class="method">{method}</span> <code>{path}</code> <span>{summary}</span></summary>
{description}{access}{parameters}{body}<h4>Answers</h4>
<table>
<tr><th scope="col">Status<th scope="col">Meaning<th scope="col">What comes
{answers}</table>
</details>
""")
_PARAMETER = Markup("<tr><th scope=row><code>{}</code>{}<td>{}<td>{}<td>{}\n")


def page(document: JSON) -> str:
    """Return the page that shows a document."""
    return str(_Page(document).page())


class _Page:
    """Makes the parts of the page; whatever the document says is escaped."""

    def __init__(self, document: JSON) -> None:
        self._document = document

    def page(self) -> Markup:
        """Return the whole page."""
        about = self._document["info"]
        return _PAGE.format(
            title=about["title"],
            version=about["version"],
            description=_paragraphs(about.get("description", "")),
            sections=_joined(self._sections()),
            schemas=_joined(self._schemas()),
        )

    def _sections(self) -> Iterator[Markup]:
        by_tag: dict[str, list[Markup]] = {}
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                tag = next(iter(operation.get("tags", ())), "")
                by_tag.setdefault(tag, []).append(self._operation(path, method, operation))
        for tag, operations in by_tag.items():
            yield Markup("<h2>{}</h2>\n{}").format(tag or "Operations", _joined(operations))

    def _operation(self, path: str, method: str, operation: JSON) -> Markup:
        return _OPERATION.format(
            id=operation["operationId"],
            method=method,
            path=path,
            summary=operation["summary"],
            description=_paragraphs(operation.get("description", "")),
            access=self._access(operation.get("security", ())),
            parameters=self._parameters(operation.get("parameters", ())),
            body=self._body(operation.get("requestBody")),
            answers=_joined(self._answers(operation["responses"])),
        )

    def _access(self, ways: Iterable[JSON]) -> Markup:
        names = [" and ".join(way) or "nothing" for way in ways]
        said = Markup("<p>Who asks is said by: {}.</p>\n").format(", ".join(names))
        return said if names else _NO

    def _parameters(self, parameters: Iterable[JSON]) -> Markup:
        rows = [
            _PARAMETER.format(
                one["name"],
                _required(one["required"]),
                one["in"],
                self._kind(one["schema"]),
                _code(one.get("description") or one["schema"].get("description", "")),
            )
            for one in parameters
        ]
        head = "<h4>Parameters</h4>\n<table>\n<tr><th scope=col>Name<th scope=col>In"
        head += "<th scope=col>Kind<th scope=col>Meaning\n"
        return Markup(head) + _joined(rows) + Markup("</table>\n") if rows else _NO  # noqa: S704 - joined of markup

    def _body(self, body: JSON | None) -> Markup:
        if not body:
            return _NO
        rows = [
            Markup("<tr><th scope=row><code>{}</code><td>{}\n").format(
                media_type, self._kind(content.get("schema", {}))
            )
            for media_type, content in body["content"].items()
        ]
        head = Markup("<h4>Body{}</h4>\n<table>\n{}</table>\n")
        return head.format(_required(body["required"]), _joined(rows))

    def _answers(self, responses: JSON) -> Iterator[Markup]:
        for status, found in responses.items():
            answer = self._resolved(found)
            kinds: dict[Markup, list[str]] = {}
            for media_type, content in answer.get("content", {}).items():
                kinds.setdefault(self._kind(content.get("schema", {})), []).append(media_type)
            said = [Markup("{} {}").format(_codes(types), kind) for kind, types in kinds.items()]
            yield Markup("<tr><th scope=row>{}<td>{}<td>{}\n").format(
                status, answer["description"], Markup("<br>").join(said)
            )

    def _schemas(self) -> Iterator[Markup]:
        for name, schema in self._document["components"]["schemas"].items():
            rows = [
                Markup("<tr><th scope=row><code>{}</code>{}<td>{}<td>{}\n").format(
                    member,
                    _required(member in schema.get("required", ())),
                    self._kind(one),
                    _code(one.get("description", "")),
                )
                for member, one in schema.get("properties", {}).items()
            ]
            body = Markup("<table>\n{}</table>\n").format(_joined(rows)) if rows else _NO
            kind = _NO if rows else Markup("<p>{}</p>\n").format(self._kind(schema))
            yield Markup('<h3 id="{0}">{0}</h3>\n{1}{2}{3}').format(
                name, _paragraphs(schema.get("description", "")), kind, body
            )

    def _resolved(self, found: JSON) -> JSON:
        target = found.get("$ref", "")
        if not target.startswith(_REF):
            return found
        kind, _, name = target.removeprefix(_REF).partition("/")
        resolved: JSON = self._document["components"][kind][name]
        return resolved

    def _kind(self, schema: JSON) -> Markup:
        """Return in words what a schema allows."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return Markup('<a href="#{0}">{0}</a>').format(name)
        if "anyOf" in schema:
            return Markup(" or ").join(self._kind(one) for one in schema["anyOf"])
        if "enum" in schema:
            return _NO + Markup(", ").join(_literal(value) for value in schema["enum"])
        if schema.get("type") == "array":
            return Markup("list of {}").format(self._kind(schema.get("items") or {}) or "anything")
        words = [schema.get("type", ""), _FORMATS.get(schema.get("format", ""), "")]
        words += [text.format(schema[key]) for key, text in _LIMITS.items() if key in schema]
        if schema.get("default") is not None:
            words.append(f"else {json.dumps(schema['default'])}")
        return Markup("{}").format(", ".join(word for word in words if word))


_NO = Markup()


def _joined(parts: Iterable[Markup]) -> Markup:
    return _NO.join(parts)


def _required(required: bool) -> Markup:
    return Markup(" <b>required</b>") if required else _NO


def _literal(value: object) -> Markup:
    return Markup("<code>{}</code>").format(json.dumps(value, ensure_ascii=False))


def _codes(words: Iterable[str]) -> Markup:
    return Markup(", ").join(Markup("<code>{}</code>").format(word) for word in words)


def _code(text: str) -> Markup:
    """Return a text in which what stands between backticks is code."""
    parts = re.split(r"``(.+?)``|`(.+?)`", text)
    made = _NO
    for number, part in enumerate(parts):
        if part is not None:
            made += Markup("<code>{}</code>").format(part) if number % 3 else part
    return made


def _paragraphs(text: str) -> Markup:
    parts = [part for part in re.split(r"\n\s*\n", text.strip()) if part]
    return _joined(Markup("<p>{}</p>\n").format(_code(part)) for part in parts)
