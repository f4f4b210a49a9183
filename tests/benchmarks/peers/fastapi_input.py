"""FastAPI: a Pydantic model for form and body, and one for the answer; the session is Starlette's.

It has no protection against forged forms of its own: here a dependency compares the token of the
form with that of the session.
"""

from __future__ import annotations

import secrets
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from asgi import ASGI
from fastapi import Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, Field
from starlette.middleware.sessions import SessionMiddleware

from peers.input_task import BOOK, CARD, EMAIL, GROUPS
from peers.task import TEMPLATES

Group = Literal["family", "friends", "work", "other"]


class _Contact(BaseModel):
    first_name: Annotated[str, Field(min_length=1, max_length=100)]
    last_name: Annotated[str, Field(min_length=1, max_length=100)]
    email: Annotated[str, Field(max_length=254, pattern=EMAIL)]
    phone: Annotated[str, Field(max_length=40)]
    group: Group
    birthday: date
    rank: Annotated[int, Field(ge=1, le=100)]
    discount: Annotated[Decimal, Field(ge=0, le=100, max_digits=5, decimal_places=2)]
    notes: Annotated[str, Field(max_length=5000)]
    favourite: bool = False


class _Card(BaseModel):
    id: UUID
    first_name: str
    last_name: str
    email: str
    phone: str
    group: str
    birthday: date
    rank: int
    discount: Decimal
    created: datetime


_card = _Card(**vars(CARD))
_templates = Jinja2Templates(TEMPLATES)


async def _same_token(request: Request) -> None:
    given, own = (await request.form()).get("csrf_token"), request.session.get("csrf_token")
    if not (isinstance(given, str) and own and secrets.compare_digest(given, own)):
        raise HTTPException(403)


def _page(request: Request, values: Any, errors: dict[str, str], status: int) -> Response:
    if "csrf_token" not in request.session:
        request.session["csrf_token"] = secrets.token_urlsafe(32)
    token = request.session["csrf_token"]
    about = {"values": values, "errors": errors, "groups": GROUPS, "token": token}
    return _templates.TemplateResponse(request, "edit_fastapi.html", about, status)


def make() -> ASGI:
    """Return the application."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key="benchmark" * 4)

    @app.get("/contacts/new", response_class=HTMLResponse)
    async def new(request: Request) -> Response:
        return _page(request, {}, {}, 200)

    @app.post("/contacts", dependencies=[Depends(_same_token)])
    async def add(contact: Annotated[_Contact, Form()]) -> Response:
        BOOK.append(contact)
        return RedirectResponse("/contacts", 303)

    @app.exception_handler(RequestValidationError)
    async def again(request: Request, error: RequestValidationError) -> Response:
        if request.url.path != "/contacts":
            return await request_validation_exception_handler(request, error)
        errors = {one["loc"][-1]: one["msg"] for one in error.errors()}
        return _page(request, error.body, errors, 422)

    @app.post("/api/contacts")
    async def add_data(contact: _Contact) -> dict[str, int]:
        BOOK.append(contact)
        return {"rank": contact.rank}

    @app.get("/api/card")
    async def card() -> _Card:
        return _card

    return ASGI(app)
