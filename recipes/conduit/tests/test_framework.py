"""What the stack does, whatever is built on it: errors, CORS, tokens, the document."""

import logging

import pytest

from kit.contracts.identity import IdentityContract

ORIGIN = {"Origin": "https://app.example.org"}
PATHS = ["/api/articles", "/api/users", "/api/articles/x/comments/1", "/api/nothing", "/nothing"]
ROUTES = {
    "/api/users": {"post"},
    "/api/users/login": {"post"},
    "/api/user": {"get", "put"},
    "/api/profiles/{username}": {"get"},
    "/api/profiles/{username}/follow": {"post", "delete"},
    "/api/articles": {"get", "post"},
    "/api/articles/feed": {"get"},
    "/api/articles/{slug}": {"get", "put", "delete"},
    "/api/articles/{slug}/favorite": {"post", "delete"},
    "/api/articles/{slug}/comments": {"get", "post"},
    "/api/articles/{slug}/comments/{id}": {"delete"},
    "/api/tags": {"get"},
}


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/html", "image/png"])
def test_errors_are_json_for_everybody(anybody, accept):
    headers = {"Accept": accept} if accept else {}
    for answer, status in [
        (anybody.client.get("/nothing", headers=headers), 404),
        (anybody.client.get("/api/articles/nothing", headers=headers), 404),
        (anybody.client.get("/api/user", headers=headers), 401),
        (anybody.client.patch("/api/user", headers=headers), 405),
        (anybody.client.post("/api/users", headers=headers, json={}), 422),
    ]:
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/json"
        assert all(type(said) is list for said in answer.json["errors"].values())


def test_another_method_is_told_those_that_there_are(anybody):
    answer = anybody.send("PATCH", "/user")
    assert answer.status_code == 405
    assert {"GET", "PUT"} <= set(answer.headers["Allow"].split(", "))


def test_what_fails_inside_is_not_told(app, anybody, caplog):
    class Broken:
        def counts(self, *lookups):
            raise RuntimeError("the secret of the house")

    with app.override(store=Broken()), caplog.at_level(logging.CRITICAL, "kit"):
        answer = anybody.get("/tags")
    assert answer.status_code == 500
    assert answer.json == {"errors": {"body": ["Internal Server Error"]}}
    assert "X-Request-Id" in answer.headers


@pytest.mark.parametrize("path", PATHS)
def test_pages_of_any_site_may_read_any_answer(anybody, path):
    for method in ("GET", "POST", "DELETE"):
        for headers in ({}, ORIGIN):
            answer = anybody.client.open(path, method=method, headers=headers)
            assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", PATHS)
def test_pages_of_any_site_may_ask_what_they_may_send(anybody, path):
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = anybody.client.options(path, headers={**ORIGIN, **asked})
    assert answer.status_code in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert {"content-type", "authorization"} <= set(allowed.split(", "))
    assert answer.headers["Access-Control-Allow-Methods"]


def test_a_preflight_is_told_the_methods_of_the_address(anybody):
    asked = {**ORIGIN, "Access-Control-Request-Method": "PUT"}
    answer = anybody.client.options("/api/articles/x", headers=asked)
    methods = answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert {"GET", "PUT", "DELETE"} <= set(methods)


def test_a_page_of_another_site_may_write(jake):
    from_elsewhere = {**ORIGIN, "Sec-Fetch-Site": "cross-site"}
    answer = jake.put("/user", {"user": {"bio": "x"}}, headers=from_elsewhere)
    assert answer.json["user"]["bio"] == "x"


def test_the_document_has_all_routes_with_schemas(anybody):
    document = anybody.client.get("/docs/openapi.json").json
    assert {path: {*methods} for path, methods in document["paths"].items()} == ROUTES
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}
    for methods in document["paths"].values():
        for method, operation in methods.items():
            described = {code: one for code, one in operation["responses"].items() if code < "3"}
            assert len(described) == 1
            for code, answer in described.items():
                assert code == "204" or "$ref" in answer["content"]["application/json"]["schema"]
            if method in ("put", "post") and "requestBody" in operation:
                body = operation["requestBody"]["content"]["application/json"]
                assert body["schema"]["$ref"].startswith("#/components/schemas/")
    for name, answer in document["components"]["responses"].items():
        assert answer.get("content", error) == error, name


def test_the_document_says_who_has_to_be_logged_in(anybody):
    document = anybody.client.get("/docs/openapi.json").json
    scheme = document["components"]["securitySchemes"]["TokenIdentity"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Authorization")
    articles = document["paths"]["/api/articles"]
    assert articles["post"]["security"] == [{"TokenIdentity": []}]
    assert articles["get"]["security"] == [{}, {"TokenIdentity": []}]
    assert "security" not in document["paths"]["/api/tags"]["get"]


def test_the_front_page_shows_the_document(anybody):
    answer = anybody.client.get("/", follow_redirects=True)
    assert answer.status_code == 200
    assert "/api/articles/{slug}/favorite" in answer.text


class TestTokenIdentity(IdentityContract):
    """The component of this framework keeps the contract of its slot."""

    use = "framework:TokenIdentity"

    def credentials(self, site, user):
        return {"Authorization": f"Token {site.component.issue(user)}"}

    def wrong(self, site, user):
        good = site.component.issue(user)
        other = site.app.provided("tokens").sign("reset", {"user": user.id, "proof": ""}, 60)
        return [{"Authorization": f"Token {one}"} for one in (f"{good}x", good[:-5], other)]
