"""The errors of the framework: what ends a request with a status, and with JSON."""

from __future__ import annotations

import http
import re
from typing import Any

import kit

LINES = {one.value: f"{one.value} {one.phrase}" for one in http.HTTPStatus}
globals().update({f"HTTP_{code}": line for code, line in LINES.items()})  # HTTP_200 and so on
ERRORS = {re.sub(r"\W", "", one.phrase): one.value for one in http.HTTPStatus if one >= 400}
ERRORS |= {"ContentTooLarge": 413, "UriTooLong": 414, "UnprocessableEntity": 422}


class HTTPError(kit.KitError):
    """What ends a request with a status, and with JSON: a title, a description and more."""

    def __init__(self, status: Any = 0, *, title: str = "", headers: Any = (), **told: Any) -> None:
        self.status, found = int(str(status or self.status)[:3]), dict(headers or ())
        told = {name: value for name, value in told.items() if value is not None}
        if several := told.pop("challenges", ()):
            found["WWW-Authenticate"] = ", ".join([several] if type(several) is str else several)
        if "retry_after" in told:
            found["Retry-After"] = str(int(told.pop("retry_after")))
        if href := told.pop("href", ""):
            told["link"] = {"text": told.pop("href_text", href), "href": href, "rel": "help"}
        if odd := sorted({*told} - {"description", "code", "link"}):
            raise TypeError(f"an HTTPError takes no {odd[0]!r}")
        self.headers, title = list(found.items()), title or LINES.get(self.status, "Error")
        self.media = {"title": title, **told}
        super().__init__(told.get("description", ""))


class HTTPInvalidParam(HTTPError):  # noqa: N818 - as Falcon calls it
    def __init__(self, msg: str, param_name: str) -> None:
        told = f'The "{param_name}" parameter is invalid. {msg}'
        super().__init__(400, title="Invalid parameter", description=told)


for _name, _status in ERRORS.items():
    globals()[f"HTTP{_name}"] = type(f"HTTP{_name}", (HTTPError,), {"status": _status})
