"""The document: OpenAPI 3.1, made of the operations of a started application."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from kit.openapi.operations import Operation, operations
from kit.openapi.returns import results
from kit.openapi.schemas import JSON, Inputs, flat, for_xml, shown
from kit.patterns import CONVERTERS, Parameter
from kit.slots.formats import Negotiator
from kit.slots.validation import Body, Form, HeaderValues, Patch, Path, Query
from kit.slots.validation.widgets import has_files

if TYPE_CHECKING:
    from kit.app import App
    from kit.openapi.returns import Result
    from kit.slots.formats import Format

_PROBLEM: JSON = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "description": "Where to look in the log of the server."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string", "description": "As in items.0.name; or empty."},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
                "required": ["field", "code", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "detail"],
}
_PROBLEMS: JSON = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
    "text/html": {"schema": {"type": "string"}},
}
_MEANINGS = {
    303: "A browser is sent to the page to log in.",
    304: "The client has the answer already.",
    308: "The path is another one, with or without a slash at its end.",
    400: "The request is malformed.",
    401: "Nobody is logged in, or the credentials are wrong.",
    403: "It is not permitted.",
    404: "There is no such thing.",
    406: "It cannot be had in any form that was asked for.",
    409: "It stands against what is already stored.",
    413: "It is more than is accepted at once.",
    415: "The body is of a media type that is not read.",
    422: "Some values are missing or cannot be used.",
    429: "Too many requests.",
    500: "Something went wrong on the side of the server.",
    503: "Something that this needs is away for now.",
}
_BODILESS = (204, 303, 304, 308)
_PATH_VALUES: Mapping[str, JSON] = {
    "str": {"type": "string", "minLength": 1},
    "int": {"type": "integer", "minimum": 0, "maximum": 8_999_999_999_999_999_999},
    "float": {"type": "string", "pattern": f"^{CONVERTERS['float'].regex}$"},
    "uuid": {"type": "string", "format": "uuid"},
    "path": {"type": "string", "minLength": 1},
}
_PORTABLE = re.compile(r"(?:[\w\s.,:;@+*?|{}()\[\]-]|\\[dws.-]|\(\?:)+")  # JavaScript has it too
_NO_PARAMETERS = ("Accept", "Content-Type", "Authorization")  # OpenAPI has its own words for them
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_SCHEMES = ("basic", "bearer", "digest")  # of those registered with IANA, what OpenAPI can say


@dataclass(frozen=True)
class Info:
    """What the document says about the application: `below` is the path of what it describes."""

    title: str
    version: str
    description: str
    below: str


def document(app: App, info: Info) -> JSON:
    """Return the OpenAPI document of a started application."""
    return _Description(app, info).document()


class _Description:
    """What is gathered while the operations are described, one after the other."""

    def __init__(self, app: App, info: Info) -> None:
        self._app = app
        self._info = info
        self._negotiator: Negotiator = app.provided("negotiator")
        self._formats: Mapping[str, Format] = self._negotiator.formats
        self._inputs = Inputs()
        self._responses: JSON = {}
        self._names: dict[str, int] = {}
        self._security = dict(_schemes(app))
        providers = app._wiring.providers.replaced({})  # a copy, to look things up in
        self._operations = list(operations(app, providers, info.below))
        self._errors = {cls: results(one) for cls, one in _error_handlers(app)}
        answers = [result for one in self._operations for result in one.results]
        answers += [result for found in self._errors.values() for result in found]
        schemas, self._definitions = shown([result.type for result in answers])
        self._shown = {id(result): one for result, one in zip(answers, schemas, strict=True)}

    def document(self) -> JSON:
        """Return the whole document."""
        paths: JSON = {}
        for operation in self._operations:
            paths.setdefault(operation.path, {})[operation.method.lower()] = self._one(operation)
        schemas = {**self._definitions, **self._inputs.definitions, "Problem": _PROBLEM}
        if any(one.suffix == "xml" for one in self._formats.values()):
            schemas = for_xml(schemas)
        components = {"schemas": schemas, "responses": self._responses}
        if self._security:
            components["securitySchemes"] = self._security
        about = {"title": self._info.title, "version": self._info.version}
        if self._info.description:
            about["description"] = self._info.description
        return {"openapi": "3.1.0", "info": about, "paths": paths, "components": components}

    def _one(self, operation: Operation) -> JSON:
        summary, description = operation.doc
        tag, dot, _ = operation.route.name.rpartition(".")
        made: JSON = {
            "operationId": self._id(operation),
            "summary": summary or operation.route.name,
            "description": description,
            "tags": [tag] if dot else [],
            "parameters": [*self._parameters(operation)],
            "security": self._required(operation),
        }
        made = {key: value for key, value in made.items() if value}
        if operation.has_body:
            made["requestBody"] = self._body(operation)
        return {**made, "responses": self._answers(operation)}

    def _id(self, operation: Operation) -> str:
        """Return the name of an operation, with a number where another one has it already."""
        count = self._names[operation.id] = self._names.get(operation.id, 0) + 1
        return operation.id if count == 1 else f"{operation.id}.{count}"

    def _parameters(self, operation: Operation) -> Iterator[JSON]:
        refined = dict(self._flat(operation, Path))
        for one in operation.pattern.parameters:
            schema = refined.get(one.name, (_path_value(one), True))[0]
            yield {"name": one.name, "in": "path", "required": True, "schema": schema}
        for name, (schema, required) in self._flat(operation, Query):
            yield _parameter(name, "query", schema, required=required)
        for name, (schema, required) in self._flat(operation, HeaderValues):
            header = name.replace("_", "-").title()
            if header not in _NO_PARAMETERS:
                yield _parameter(header, "header", schema, required=required)

    def _flat(self, operation: Operation, kind: Any) -> Iterator[tuple[str, tuple[JSON, bool]]]:
        annotation = operation.input(kind)
        if annotation is not None:
            schema = self._app.provided("checker").schema(annotation, kind)
            for name, one, required in flat(schema):
                yield name, (one, required)

    def _body(self, operation: Operation) -> JSON:
        """Return the media types that a body may have, each with its schema."""
        kind: Any = next(one for one in (Form, Body, Patch) if operation.input(one) is not None)
        schema = self._app.provided("checker").schema(operation.input(kind), kind)
        described = schema.json_schema()
        data = self._inputs.add(described)
        is_list = described.get("type") == "array"
        content: JSON = {}
        for one in self._formats.values():
            readable = getattr(one, "loads", True) and (is_list or not getattr(one, "rows", False))
            if readable and not any(map(has_files, schema.fields)):
                content[_essence(one)] = {"schema": data}
        if kind is Form:
            for media_type in _form_types(any(map(has_files, schema.fields))):
                content[media_type] = {"schema": _form(flat(schema))}
        return {"required": bool(kind is not Form or described.get("required")), "content": content}

    def _answers(self, operation: Operation) -> JSON:
        """Return what may come, by status: the handler's results, and errors."""
        made: JSON = {}
        for result in operation.results:
            status = "default" if result.status is None else str(result.status)
            answer = made.setdefault(status, {"description": _phrase(result), "content": {}})
            _add(answer["content"], self._content(result))
        for answer in made.values():
            if not answer["content"]:
                del answer["content"]
        for error in sorted(operation.statuses()):
            if str(error) not in made:
                made[str(error)] = self._error(error)
        return dict(sorted(made.items()))

    def _content(self, result: Result) -> JSON:
        """Return the media types that a result may go out in."""
        if result.kind == "html":
            return {"text/html": {"schema": {"type": "string"}}}
        if result.kind == "bytes":
            return {"application/octet-stream": {}}
        if result.kind in ("nothing", "unknown"):
            return {}
        content: JSON = {}
        schema = self._shown[id(result)]
        for one in self._formats.values():
            if getattr(one, "pages", False):
                if result.kind == "page":
                    content[_essence(one)] = {"schema": {"type": "string"}}
            elif getattr(one, "as_text", False) or not getattr(one, "loads", True):
                content[_essence(one)] = {}
            else:
                content[_essence(one)] = {"schema": schema} if schema else {}
        return content

    def _error(self, status: int) -> JSON:
        name = HTTPStatus(status).phrase.replace(" ", "").replace("-", "")
        if name not in self._responses:
            description = _MEANINGS.get(status, HTTPStatus(status).phrase + ".")
            self._responses[name] = {"description": description}
            content = {} if status in _BODILESS else self._error_content(status)
            if content:
                self._responses[name]["content"] = content
        return {"$ref": f"#/components/responses/{name}"}

    def _error_content(self, status: int) -> JSON:
        """Return what an error comes as: as the application's own handlers for it say."""
        own = {cls for cls in self._errors if getattr(cls, "status", status) == status}
        found = [result for cls in own for result in self._errors[cls]]
        if any(result.kind == "unknown" for result in found):
            return {}
        content: JSON = {} if Exception in own else dict(_PROBLEMS)
        for result in found:
            _add(content, self._content(result))
        return content

    def _required(self, operation: Operation) -> list[JSON]:
        """Return the ways to say who one is; one of them is to say nothing, if no guard asks."""
        if "visitor" not in operation.names or not self._security:
            return []
        optional: list[JSON] = [] if "visitor" in operation.guarded else [{}]
        return [*optional, *({name: []} for name in self._security)]


def _error_handlers(app: App) -> Iterator[tuple[type[BaseException], Any]]:
    """Yield the handlers that answer everybody, whatever is accepted, by class of exception."""
    for kind, handler in app.error_handlers.items():
        if not isinstance(kind, int):
            yield kind, handler


def _schemes(app: App) -> Iterator[tuple[str, JSON]]:
    """Yield the security schemes of the components that say who is asking.

    A component has its scheme as the attribute ``openapi``; for those of HTTP the challenge does.
    """
    components = app.provided("identity") if app.stack.filling("identity") else {}
    for name, one in components.items():
        scheme = one.challenge.partition(" ")[0].lower()
        if hasattr(one, "openapi"):
            yield name, dict(one.openapi)
        elif scheme in _SCHEMES:
            yield name, {"type": "http", "scheme": scheme}


def _path_value(parameter: Parameter) -> JSON:
    kind = parameter.kind
    if kind in _PATH_VALUES and parameter.converter is CONVERTERS[kind]:
        return _PATH_VALUES[kind]
    regex = parameter.converter.regex
    pattern = {"pattern": f"^(?:{regex})$"} if _PORTABLE.fullmatch(regex) else {}
    return {"type": "string", "minLength": 1, **pattern}


def _parameter(name: str, place: str, schema: JSON, *, required: bool) -> JSON:
    about = {key: schema[key] for key in ("description",) if key in schema}
    rest = {key: value for key, value in schema.items() if key not in about}
    return {"name": name, "in": place, "required": required, **about, "schema": rest}


def _form_types(files: bool) -> tuple[str, ...]:
    return (_MULTIPART,) if files else (_FORM, _MULTIPART)


def _form(members: Iterable[tuple[str, JSON, bool]]) -> JSON:
    found = list(members)
    made: JSON = {"type": "object", "properties": {name: one for name, one, _ in found}}
    if required := [name for name, _, needed in found if needed]:
        made["required"] = required
    return made


def _add(content: JSON, more: JSON) -> None:
    """Add media types to those of an answer."""
    for media_type, one in more.items():
        content[media_type] = _either(content[media_type], one) if media_type in content else one


def _either(one: JSON, other: JSON) -> JSON:
    """Return the content of an answer that has one of two schemas, where each has one."""
    if one == other or not (one and other):
        return one and other
    known = one["schema"].get("anyOf", [one["schema"]])
    return {"schema": {"anyOf": [*known, other["schema"]]}}


def _phrase(result: Result) -> str:
    if result.status is None:
        return "Whatever the handler answers."
    return f"{HTTPStatus(result.status).phrase}."


def _essence(one: Format) -> str:
    return one.media_types[0].partition(";")[0]
