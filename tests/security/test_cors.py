"""Which other origins may read answers."""

from __future__ import annotations

import pytest
from werkzeug.test import Client

from kit import App
from kit.security.options import CorsOptions
from kit.testing import client

SHOP = "https://shop.example"


def served(**cors: object) -> Client:
    app = App({"cors": cors})
    app.get("/")(lambda: "page")
    app.put("/")(lambda: "put")
    app.get("/private")(lambda: ("page", {"Vary": "Cookie"}))
    app.get("/broken")(lambda: 1 / 0)
    return client(app)


def allowed(answer) -> dict[str, str]:
    return {
        name.removeprefix("Access-Control-"): value
        for name, value in answer.headers.items()
        if name.startswith("Access-Control-")
    }


def preflight(site: Client, origin: str, method: str = "PUT"):
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    return site.options("/", headers=headers)


def test_no_origin_may_read_by_default():
    site = served()
    assert allowed(site.get("/", headers={"Origin": SHOP})) == {}
    assert allowed(preflight(site, SHOP)) == {}
    assert "Vary" not in site.get("/").headers


@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", f"{SHOP}.evil.example", f"{SHOP}:8443", "http://shop.example"],
)
def test_only_exact_origins_may_read(origin):
    site = served(origins=[SHOP], credentials=True)
    assert allowed(site.get("/", headers={"Origin": origin})) == {}
    assert allowed(preflight(site, origin)) == {}


def test_an_allowed_origin_may_read_errors_too():
    site = served(origins=[SHOP], expose=["X-Request-Id"])
    for path, status in {"/": 200, "/nowhere": 404, "/broken": 500}.items():
        answer = site.get(path, headers={"Origin": SHOP})
        assert answer.status_code == status
        assert allowed(answer) == {"Allow-Origin": SHOP, "Expose-Headers": "X-Request-Id"}


def test_caches_learn_that_the_answer_depends_on_the_origin():
    site = served(origins=[SHOP])
    assert site.get("/").headers["Vary"] == "Origin"
    assert site.get("/private", headers={"Origin": SHOP}).headers["Vary"] == "Cookie, Origin"


def test_a_preflight_is_told_methods_headers_and_for_how_long():
    answer = preflight(served(origins=[SHOP], credentials=True, max_age="1 hour"), SHOP)
    assert answer.status_code == 204
    assert allowed(answer) == {
        "Allow-Origin": SHOP,
        "Allow-Credentials": "true",
        "Allow-Methods": "GET, HEAD, OPTIONS, PUT",
        "Allow-Headers": "Content-Type, X-CSRF-Token",
        "Max-Age": "3600",
    }


def test_an_options_request_that_asks_nothing_is_answered_as_ever():
    answer = served(origins=[SHOP]).options("/", headers={"Origin": SHOP})
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, PUT"
    assert "Access-Control-Allow-Methods" not in answer.headers


@pytest.mark.parametrize("path", ["/nowhere", "/private/"])
def test_the_preflight_of_an_unknown_url_lets_the_script_see_the_404(path):
    site = served(origins=[SHOP])
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "DELETE"}
    answer = site.options(path, headers=asked)
    assert (answer.status_code, "Allow" in answer.headers) == (204, False)
    assert "DELETE" in allowed(answer)["Allow-Methods"]
    assert site.options("/nowhere").status_code == 404
    assert served().options("/nowhere", headers=asked).status_code == 404


def test_any_origin_may_read_without_cookies():
    site = served(origins=["*"])
    assert allowed(site.get("/")) == {"Allow-Origin": "*"}  # whoever gets it from a cache
    assert allowed(site.get("/", headers={"Origin": "null"})) == {"Allow-Origin": "*"}
    assert "Vary" not in site.get("/").headers


def test_an_allowed_origin_may_change_things_with_cookies_only_if_credentials_say_so():
    foreign = {"Origin": SHOP, "Sec-Fetch-Site": "cross-site"}
    for options, with_cookie in [
        ({"origins": [SHOP], "credentials": True}, 200),
        ({"origins": [SHOP]}, 403),
        ({"origins": ["*"]}, 403),
    ]:
        site = served(**options)
        assert site.put("/", headers=foreign).status_code == 200
        site.set_cookie("a", "1")
        assert site.put("/", headers=foreign).status_code == with_cookie
    assert served().put("/", headers=foreign).status_code == 403


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"origins": ("*",), "credentials": True}, "needs exact origins"),
        ({"origins": ("*", SHOP)}, "leave one of them out"),
        ({"origins": ("null",)}, "is no origin"),
        ({"origins": (f"{SHOP}/",)}, "is no origin"),
        ({"origins": (f"{SHOP}:443",)}, "leave the port out"),
        ({"headers": ("*",)}, "is no name of a header"),
        ({"expose": ("a b",)}, "is no name of a header"),
    ],
)
def test_what_could_not_work_is_an_error_at_start(options, message):
    with pytest.raises(ValueError, match=message):
        CorsOptions(**options)
