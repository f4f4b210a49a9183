"""What the to-do list promises, whatever it is put together from."""

from __future__ import annotations

import pytest
from pages import Page, text
from todo import Task, first_tasks

from kit.testing import client as browser
from kit.testing import in_process

PYTHON = "Read the Python tutorial to get a good introduction into Python"
SITE = "Visit the Python website"
EDITORS = "Test various editors for and check the syntax highlighting"
FRAMEWORK = "Choose your favorite WSGI-Framework"
NOT_FOUND = "Sorry, this page does not exist!"
ODD = [
    """<b>"bold"</b> & 'quoted' &amp; </title><script>alert(1)</script>""",
    "${1 + 1} {{ 7 * 7 }} {% raw %} %> ## <%",
    "Zoë 東京 \U0001f600 \u202eright\u202c \u0301",
    r"back\slash %00 %2e%2e/ + ; ' OR 1=1 --",
    "x" * 100,
    "\U0001f600" * 100,
]
ONE_LINE_GETS = ["/todo", "/new", "/edit/1", "/details/1", "/as_json/1", "/static/style.css"]


@pytest.fixture
def stored(app):
    """What is stored: number, text and status of each task."""

    def found():
        tasks = app.call(lambda store: store.find(Task, order_by="id"))
        return [(one.id, one.task, one.status) for one in tasks]

    return found


def page(response) -> Page:
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Content-Length"] == str(len(response.data))
    shown = Page(response)
    assert shown.title == "ToDo App powered by Bottle"
    return shown


def message(response, status: int = 200) -> str:
    """The text of a message page, which has a way back."""
    assert response.status_code == status
    shown = page(response)
    assert shown.links == {"Back to main page": "/todo"}
    return shown.text.removesuffix(" Back to main page")


def assert_not_found(response) -> None:
    assert message(response, 404) == NOT_FOUND


def odd(values):
    return pytest.mark.parametrize("task", values, ids=range(len(values)))


# The first tasks


def test_it_begins_with_four_tasks(client, stored):
    assert stored() == [(1, PYTHON, 0), (2, SITE, 1), (3, EDITORS, 1), (4, FRAMEWORK, 0)]


def test_they_come_once(app, client, stored):
    client.post("/edit/2", data={"task": "Rest", "status": "closed"})
    app.call(first_tasks)
    assert [task for _, task, _ in stored()] == [PYTHON, "Rest", EDITORS, FRAMEWORK]


@in_process("it starts the application anew")
def test_a_start_on_an_empty_database_brings_them(app, client, stored):
    app.call(lambda store: store.delete(Task, 1))
    app.call(lambda store: [store.delete(Task, one.id) for one in store.find(Task)])
    app.stop()
    app.start()
    assert [task for _, task, _ in stored()] == [PYTHON, SITE, EDITORS, FRAMEWORK]


# The list


def test_the_root_leads_to_the_list(client):
    response = client.get("/")
    assert response.status_code in (301, 302, 303, 307, 308)
    assert response.headers["Location"].endswith("/todo")


def test_the_list(client):
    shown = page(client.get("/todo"))
    assert "The open ToDo tasks are as follows:" in shown.text
    assert shown.rows == [["2", SITE, "open"], ["3", EDITORS, "open"]]
    assert shown.links["Add a new task"] == "/new"


@pytest.mark.parametrize(
    ("show", "numbers"), [("open", "23"), ("closed", "14"), ("all", "1234"), ("", "23")]
)
def test_which_tasks_are_listed(client, show, numbers):
    shown = page(client.get("/todo", query_string={"show": show}))
    assert "".join(row[0] for row in shown.rows) == numbers
    assert {row[2] for row in shown.rows} <= {"open", "closed"}


@pytest.mark.parametrize("show", ["Open", "1", "open ", "<b>", "é", "opened", "' OR 1=1 --"])
def test_anything_else_cannot_be_shown(client, show):
    response = client.get("/todo", query_string={"show": show})
    expected = "Wrong query parameter: show must be either open, closed or all."
    assert message(response, 400) == expected


# A new task


def test_the_form_for_a_new_task(client):
    shown = page(client.get("/new"))
    assert "Add a new task to the ToDo list:" in shown.text
    form = shown.one("form")
    assert (form.get("method"), form.get("action")) == ("post", "/new")
    (task,) = [one for one in form.iter("input") if one.get("name") == "task"]
    assert task.get("maxlength") == "100"
    (save,) = [one for one in form.iter("input") if one.get("type") == "submit"]
    assert save.get("name") == "save"
    assert "csrf_token" in [one.get("name") for one in form.iter("input")]


def test_a_new_task_is_open_and_has_no_blanks_around_it(client, stored):
    response = client.post("/new", data={"task": " \t Buy  milk\n ", "save": "Save"})
    assert message(response) == "The new task was inserted into the database, the ID is 5"
    assert stored()[4:] == [(5, "Buy  milk", 1)]


def test_numbers_grow(client):
    for number in (5, 6, 7):
        assert message(client.post("/new", data={"task": "More"})).endswith(f"the ID is {number}")


@odd(ODD)
def test_any_text_is_kept_and_shown_as_it_is(client, stored, task):
    number = message(client.post("/new", data={"task": task})).rpartition(" ")[2]
    assert stored()[-1] == (int(number), task, 1)
    assert page(client.get("/todo")).rows[-1] == [number, " ".join(task.split()), "open"]
    assert message(client.get(f"/details/{number}")) == f"Task: {task}, status: 1"
    assert client.get(f"/as_json/{number}").json == {"id": int(number), "task": task, "status": 1}
    form = page(client.get(f"/edit/{number}")).one("form")
    assert [one.get("value") for one in form.iter("input") if one.get("name") == "task"] == [task]


@pytest.mark.parametrize("path", ["/new", "/edit/2"])
@pytest.mark.parametrize(
    ("task", "fault"),
    [
        ("x" * 101, "That is too long for a task: it has 101 characters, of 100 at most."),
        ("\U0001f600" * 101, "it has 101 characters"),
        ("  \n ", "Please say what there is to do."),
        (None, "Please say what there is to do."),
    ],
    ids=["long", "long, beyond 16 bits", "blank", "missing"],
)
def test_a_text_that_is_no_task_comes_back(client, stored, path, task, fault):
    before = stored()
    response = client.post(path, data={"status": "open"} | ({"task": task} if task else {}))
    assert response.status_code == 400
    shown = page(response)
    assert fault in shown.text
    assert shown.one("form").get("action") == path
    shown_again = [one.get("value") for one in shown.all("input") if one.get("name") == "task"]
    assert shown_again == [(task or "").strip()]
    assert stored() == before


def test_what_no_database_has_is_refused(client, stored):
    before = stored()
    assert client.post("/new", data={"task": "a\0b"}).status_code in (400, 422)
    broken = client.post(
        "/new", data=b"task=%ff%fe", content_type="application/x-www-form-urlencoded"
    )
    assert broken.status_code == 400
    assert stored() == before


# Changing a task


@pytest.mark.parametrize(("number", "chosen"), [(1, "closed"), (2, "open")])
def test_the_form_to_edit_a_task(client, number, chosen):
    shown = page(client.get(f"/edit/{number}"))
    assert f"Edit the task with ID = {number}" in shown.text
    form = shown.one("form")
    assert (form.get("method"), form.get("action")) == ("post", f"/edit/{number}")
    values = {one.get("name"): one.get("value") for one in form.iter("input")}
    assert values["task"] == {1: PYTHON, 2: SITE}[number]
    assert "save" in values
    assert "csrf_token" in values
    select = shown.one("select")
    assert select.get("name") == "status"
    assert [text(option) for option in select] == ["open", "closed"]
    assert [option.get("value") for option in select] == [None, None]
    assert [text(one) for one in select if one.get("selected") is not None] == [chosen]


@pytest.mark.parametrize(
    ("status", "kept"), [("open", 1), ("closed", 0), ("OPEN", 0), ("1", 0), ("", 0), (None, 0)]
)
def test_an_edit_is_stored_and_others_stay(client, stored, status, kept):
    data = {"task": "  Rest ", **({} if status is None else {"status": status})}
    response = client.post("/edit/2", data=data)
    assert message(response) == "The task number 2 was successfully updated"
    assert stored() == [(1, PYTHON, 0), (2, "Rest", kept), (3, EDITORS, 1), (4, FRAMEWORK, 0)]


@odd(ODD)
def test_an_edit_takes_any_text(client, stored, task):
    client.post("/edit/3", data={"task": task, "status": "closed"})
    assert stored()[2] == (3, task, 0)


@pytest.mark.parametrize("number", ["5", "0", "9" * 18, "9" * 19, "9" * 40, "9" * 4000])
def test_there_is_nothing_to_edit_under_another_number(client, stored, number):
    before = stored()
    assert_not_found(client.get(f"/edit/{number}"))
    assert_not_found(client.post(f"/edit/{number}", data={"task": "Rest", "status": "open"}))
    assert stored() == before


def test_a_browser_sees_what_another_one_has_changed(app, client):
    client.post("/edit/2", data={"task": "Rest", "status": "open"})
    assert page(browser(app, form="/new").get("/todo")).rows[0] == ["2", "Rest", "open"]


# One task


def test_the_details_of_a_task(client):
    assert message(client.get("/details/1")) == f"Task: {PYTHON}, status: 0"
    assert message(client.get("/details/002")) == f"Task: {SITE}, status: 1"


@pytest.mark.parametrize("number", ["5", "0", str(2**63 - 1), str(2**63), "9" * 40, "9" * 4000])
def test_an_unknown_number_has_no_details(client, number):
    expected = f"The task number {int(number)} does not exist!"
    assert message(client.get(f"/details/{number}")) == expected
    response = client.get(f"/as_json/{number}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json == {"task": expected}


def test_a_task_as_json(client):
    response = client.get("/as_json/2")
    assert response.headers["Content-Type"] == "application/json"
    assert response.json == {"id": 2, "task": SITE, "status": 1}


# What there is not


@pytest.mark.parametrize("path", ["/edit", "/details", "/as_json"])
@pytest.mark.parametrize(
    "number", ["-1", "+1", "abc", "1.5", "1x", "%201", "1%20", "1/2", "%EF%BC%91", "", "9" * 4400]
)
def test_a_number_is_digits_only(client, path, number):
    assert_not_found(client.get(f"{path}/{number}"))


@pytest.mark.parametrize("path", ["/nope", "/todo/1", "/edit", "/static", "/static/", "/NEW"])
def test_an_unknown_url_is_404(client, path):
    assert_not_found(client.get(path))
    assert_not_found(client.post(path, data={"task": "x"}))


@pytest.mark.parametrize("accept", ["application/json", "image/png", "*/*", ""])
def test_every_404_has_its_text(client, accept):
    for path in ("/nope", "/edit/99", "/edit/x", "/static/nope.css"):
        assert_not_found(client.get(path, headers={"Accept": accept}))


@pytest.mark.parametrize(
    ("path", "others"),
    [*((path, "DELETE PATCH POST PUT") for path in ONE_LINE_GETS), ("/", "DELETE PATCH POST PUT")],
)
def test_other_methods_are_405(client, stored, path, others):
    for method in others.split():
        if method == "POST" and path in ("/new", "/edit/1"):
            continue
        response = client.open(path, method=method, data={"task": "x"})
        assert message(response, 405)
        allowed = set(response.headers["Allow"].split(", "))
        assert "GET" in allowed
        assert method not in allowed
        assert ("POST" in allowed) == (path in ("/new", "/edit/1"))


def test_a_wrong_method_is_405_before_any_token_is_asked_for(app, client):
    response = browser(app, csrf=True).post("/todo", data={}, headers={"Cookie": "a=b"})
    assert response.status_code == 405


# Files


def test_the_stylesheet(client):
    response = client.get("/static/style.css")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/css")
    again = {"If-None-Match": response.headers["ETag"]}
    assert client.get("/static/style.css", headers=again).status_code == 304


@pytest.mark.parametrize("name", ["nope.css", "sub/nope.css", "style.css/x", ".hidden", "style"])
def test_a_missing_file_is_404(client, name):
    assert_not_found(client.get(f"/static/{name}"))


@pytest.mark.parametrize(
    "name",
    [
        *("../todo.py", "..%2ftodo.py", "%2e%2e/todo.py", "%2e%2e%2ftodo.py", "..%5ctodo.py"),
        *("..\\todo.py", "....//todo.py", "./../todo.py", "style.css/../../todo.py"),
        *("/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd", "..%00/todo.py", "style.css%00.py"),
        *("%252e%252e/todo.py", "..;/todo.py", "C:%5cWindows%5cwin.ini", "%c0%ae%c0%ae/todo.py"),
        *("../kit.toml", "../static/../secret.key", "~/x", "%ff"),
    ],
)
def test_nothing_outside_of_the_folder_is_served(client, name):
    response = client.get(f"/static/{name}")
    assert response.status_code in (400, 403, 404)
    assert "import" not in response.text
    if response.status_code == 404:
        assert_not_found(response)


# Security


@in_process("it sends no token on purpose")
def test_a_form_without_its_token_changes_nothing(app, client, stored):
    before, cautious = stored(), browser(app, csrf=True)
    token = page(cautious.get("/new")).one("input[@name='csrf_token']").get("value")
    for path in ("/new", "/edit/2"):
        for data in ({"task": "x"}, {"task": "x", "csrf_token": "wrong"}):
            assert "nothing was changed" in message(cautious.post(path, data=data), 403)
    assert stored() == before
    data = {"task": "Rest", "status": "open", "csrf_token": token}
    for path in ("/new", "/edit/2"):
        assert cautious.post(path, data=data).status_code == 200, "one token is for every form"
    assert [task for _, task, _ in stored()] == [PYTHON, "Rest", EDITORS, FRAMEWORK, "Rest"]


def test_a_post_of_another_site_changes_nothing(client, stored):
    before = stored()
    response = client.post("/new", data={"task": "x"}, headers={"Origin": "https://example.com"})
    assert response.status_code == 403
    assert stored() == before


def test_pages_bring_everything_themselves(client):
    for path in ("/todo", "/new", "/edit/1", "/nope"):
        response = client.get(path)
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        shown = page(response)
        assert not shown.all("script")
        assert not shown.all("style")
        assert not shown.all("*[@style]")
        links = [item.get("href") for item in [*shown.all("link"), *shown.all("a")]]
        assert all(link.startswith("/") for link in links)


def test_whoever_only_reads_gets_no_cookie(client):
    for path in ("/todo", "/details/1", "/as_json/1", "/static/style.css", "/nope"):
        assert "Set-Cookie" not in client.get(path).headers


def test_any_host_will_do(client):
    for host in ("localhost:8080", "127.0.0.1:1", "todo.example.org"):
        assert client.get("/todo", headers={"Host": host}).status_code == 200
