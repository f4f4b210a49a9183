"""What the API promises, whatever it is put together from."""

from __future__ import annotations

import pytest

ELSEWHERE = {"Origin": "https://pages.example"}
MISSING = "/todos/4711"


@pytest.fixture
def add(client):
    """What adds a todo, and returns it as the API shows it."""

    def add(title="walk the dog", **members):
        answer = client.post("/todos", json={"title": title, **members})
        assert answer.status_code == 201
        return answer.json

    return add


# The list


def test_there_is_nothing_to_do_at_first(client):
    answer = client.get("/todos")
    assert (answer.status_code, answer.json) == (200, [])
    assert answer.content_type == "application/json"


def test_what_is_added_is_shown_and_in_the_list(client, add):
    todo = add("walk the dog")
    assert todo["title"] == "walk the dog"
    assert client.get("/todos").json == [todo]


def test_the_list_is_in_the_order_of_adding(client, add):
    added = [add(title) for title in ("c", "a", "b")]
    assert client.get("/todos").json == added


def test_a_new_todo_is_not_completed_and_has_no_order(add):
    todo = add()
    assert todo["completed"] is False
    assert todo["order"] is None


def test_everything_but_the_url_may_be_given(add):
    todo = add("all of it", completed=True, order=523, url="http://evil.example/", id=99, more=[])
    assert (todo["title"], todo["completed"], todo["order"]) == ("all of it", True, 523)
    assert "evil" not in todo["url"]
    assert "more" not in todo


@pytest.mark.parametrize(
    "title", ["\U0001f600 \u4f60\u597d", "<b>'\"\\\r\n\t", "\u202e\ufeff\U0010ffff", " "]
)
def test_a_title_is_any_text(client, add, title):
    assert add(title)["title"] == title
    assert client.get("/todos").json[0]["title"] == title


def test_the_list_is_cleared(client, add):
    todos = [add(), add()]
    assert client.delete("/todos").status_code == 204
    assert client.get("/todos").json == []
    assert {client.get(todo["url"]).status_code for todo in todos} == {404}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_slash_at_the_end_makes_no_difference(client, method):
    sent = {"json": {"title": "x"}} if method == "POST" else {}
    answers = [client.open(path, method=method, **sent) for path in ("/todos", "/todos/")]
    assert answers[0].status_code == answers[1].status_code < 300


# A todo and its URL


def test_a_todo_has_a_url_that_leads_to_it(client, add):
    todos = [add("one"), add("two")]
    assert todos[0]["url"] != todos[1]["url"]
    for todo in todos:
        assert client.get(todo["url"]).json == todo


@pytest.mark.parametrize("host", ["todos.example:8443", "127.0.0.1:5000", "[::1]:81"])
def test_urls_begin_as_the_client_sees_the_api(client, host):
    sent = client.post("/todos", json={"title": "x"}, headers={"Host": host}).json
    assert sent["url"].startswith(f"http://{host}/todos/")
    assert client.get("/todos", headers={"Host": host}).json == [sent]


@pytest.mark.parametrize(
    "change",
    [
        {"title": "bathe the cat"},
        {"completed": False},
        {"order": 95},
        {"order": None},
        {"order": -(2**63)},
        {"title": "all", "completed": False, "order": 0},
        {},
    ],
)
def test_a_patch_changes_what_is_sent_and_nothing_else(client, add, change):
    todo = add(completed=True, order=10)
    answer = client.patch(todo["url"], json=change)
    assert (answer.status_code, answer.json) == (200, todo | change)
    assert client.get(todo["url"]).json == todo | change
    assert client.get("/todos").json == [todo | change]


def test_a_patch_does_not_change_the_url(client, add):
    todo = add()
    sent = {"url": "http://evil.example/", "id": 99, "more": 1}
    assert client.patch(todo["url"], json=sent).json == todo
    assert client.get("/todos").json == [todo]


def test_a_todo_is_removed(client, add):
    todo, other = add("one"), add("two")
    assert client.delete(todo["url"]).status_code == 204
    assert client.get("/todos").json == [other]


def test_a_url_is_never_given_again(client, add):
    first = add()["url"]
    client.delete(first)
    second = add()["url"]
    client.delete("/todos")
    assert len({first, second, add()["url"]}) == 3


# What cannot be


def test_what_is_gone_is_not_found(client, add):
    gone = add()["url"]
    client.delete(gone)
    for url in (gone, MISSING, "/todos/x", f"/todos/{10**30}"):
        answers = [client.get(url), client.patch(url, json={"title": "x"}), client.delete(url)]
        assert {answer.status_code for answer in answers} == {404}, url


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "1", "null", '"x"', "{}", '{"title": NaN}', "\xff"]
)
def test_what_is_no_todo_is_not_stored(client, body):
    sent = {"data": body.encode("latin-1"), "content_type": "application/json"}
    assert client.post("/todos", **sent).status_code in (400, 422)
    assert client.get("/todos").json == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": ""},
        {"title": 5},
        {"title": "\0"},
        {"completed": "true"},
        {"completed": 1},
        {"order": "1"},
        {"order": 1.5},
        {"order": True},
        {"order": 2**63},
        {"order": 10**400},
    ],
)
def test_values_have_their_types(client, add, wrong):
    todo = add()
    for answer in (
        client.post("/todos", json={"title": "x", **wrong}),
        client.patch(todo["url"], json=wrong),
    ):
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json["errors"]] == [*wrong]
    assert client.get("/todos").json == [todo]


def test_the_type_of_a_body_that_is_not_there_is_ignored(client, add):
    url, kind = add()["url"], {"content_type": "application/json"}
    for path in (url, "/todos"):
        assert client.get(path, **kind).status_code == 200
        assert client.delete(path, **kind).status_code == 204


def test_other_methods_are_refused(client, add):
    answer = client.put("/todos", json={"title": "x"})
    assert answer.status_code == 405
    assert {"GET", "POST", "DELETE"} <= {*answer.headers["Allow"].split(", ")}
    assert client.post(add()["url"], json={"title": "x"}).status_code == 405


# Pages of other sites


@pytest.mark.parametrize("headers", [ELSEWHERE, {}, {"Accept": "text/html"}, {"Accept": "*/*"}])
def test_errors_are_data_that_any_page_may_read(client, headers):
    for answer, status in (
        (client.get(MISSING, headers=headers), 404),
        (client.get("/nowhere", headers=headers), 404),
        (client.put("/todos", headers=headers), 405),
        (client.post("/todos", json={}, headers=headers), 422),
        (client.post("/todos", data="x", headers=headers), 415),
    ):
        assert answer.status_code == answer.json["status"] == status
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_any_page_may_read_and_change(client):
    answer = client.post("/todos", json={"title": "x"}, headers=ELSEWHERE)
    url = answer.json["url"]
    answers = [answer, client.get(url, headers=ELSEWHERE), client.get("/todos", headers=ELSEWHERE)]
    answers.append(client.patch(url, json={"order": 1}, headers=ELSEWHERE))
    answers += [client.delete(url, headers=ELSEWHERE), client.delete("/todos", headers=ELSEWHERE)]
    assert [one.status_code for one in answers] == [201, 200, 200, 200, 204, 204]
    assert {one.headers["Access-Control-Allow-Origin"] for one in answers} == {"*"}


@pytest.mark.parametrize(
    ("path", "methods"), [("/todos", "GET POST DELETE"), (MISSING, "GET PATCH DELETE")]
)
def test_browsers_may_ask_first(client, path, methods):
    for method in methods.split():
        asked = {
            **ELSEWHERE,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "content-type",
        }
        answer = client.options(path, headers=asked)
        assert answer.status_code == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"].split(", ")
        assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
