"""Registering, logging in, one's own account, and tokens."""

from concurrent.futures import ThreadPoolExecutor

import pytest

JAKE = {"username": "jake", "email": "jake@jake.jake", "password": "password"}
TAKEN = ["has already been taken"]
BLANK = ["can't be blank"]
ACCOUNT = {"email", "token", "username", "bio", "image"}
REQUIRED = [
    ("GET", "/user"),
    ("PUT", "/user"),
    ("POST", "/profiles/nobody/follow"),
    ("DELETE", "/profiles/nobody/follow"),
    ("GET", "/articles/feed"),
    ("POST", "/articles"),
    ("PUT", "/articles/nothing"),
    ("DELETE", "/articles/nothing"),
    ("POST", "/articles/nothing/favorite"),
    ("DELETE", "/articles/nothing/favorite"),
    ("POST", "/articles/nothing/comments"),
    ("DELETE", "/articles/nothing/comments/1"),
]


def without(name):
    return {key: value for key, value in JAKE.items() if key != name}


def log_in(anybody, email, password):
    return anybody.post("/users/login", {"user": {"email": email, "password": password}})


@pytest.mark.usefixtures("empty")
def test_who_registers_gets_an_account_with_a_token(anybody):
    answer = anybody.post("/users", {"user": JAKE})
    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json"
    user = answer.json["user"]
    assert user.keys() == ACCOUNT
    assert (user["username"], user["email"]) == ("jake", "jake@jake.jake")
    assert (user["bio"], user["image"]) == (None, None)
    assert user["token"]


def test_who_logs_in_gets_an_account_with_a_token(anybody, jake):
    answer = log_in(anybody, jake.user["email"], "jakejake")
    assert answer.status_code == 200
    assert answer.json["user"].keys() == ACCOUNT
    jake.headers = {"Authorization": f"Token {answer.json['user']['token']}"}
    assert jake.get("/user").json["user"]["username"] == jake.name


@pytest.mark.parametrize("name", JAKE)
@pytest.mark.parametrize("value", ["", None, " ", ...])
def test_what_registering_needs_must_not_be_blank(anybody, name, value):
    user = without(name) if value is ... else {**JAKE, name: value}
    answer = anybody.post("/users", {"user": user})
    assert answer.status_code == 422
    assert answer.json == {"errors": {name: BLANK}}


@pytest.mark.parametrize("name", ["email", "password"])
@pytest.mark.parametrize("value", ["", None, ...])
def test_what_logging_in_needs_must_not_be_blank(anybody, name, value):
    user = without(name) if value is ... else {**JAKE, name: value}
    answer = anybody.post("/users/login", {"user": user})
    assert answer.status_code == 422
    assert answer.json == {"errors": {name: BLANK}}


@pytest.mark.parametrize("path", ["/users", "/users/login"])
@pytest.mark.parametrize("body", [{}, JAKE, {"user": None}, {"user": []}, {"user": "jake"}, []])
def test_a_body_without_envelope_is_refused(anybody, path, body):
    answer = anybody.post(path, body)
    assert answer.status_code == 422
    assert answer.json["errors"]


@pytest.mark.parametrize("body", ["{", "", "not JSON", '{"user": NaN}'])
def test_a_body_that_is_no_json_is_refused(anybody, body):
    answer = anybody.post("/users", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["errors"]["body"]


@pytest.mark.usefixtures("empty")
def test_members_that_nobody_knows_are_ignored(anybody):
    body = {"user": {**JAKE, "admin": True, "id": 7}, "more": 1}
    assert anybody.post("/users", body).status_code == 201


@pytest.mark.parametrize("wrong", [7, ["jake"], {"a": 1}, True])
def test_a_value_of_another_type_is_refused(anybody, wrong):
    answer = anybody.post("/users", {"user": {**JAKE, "username": wrong}})
    assert answer.status_code == 422
    assert answer.json == {"errors": {"username": ["must be text"]}}


@pytest.mark.parametrize("text", ["x" * 101, "a\0b", "\ud800"])
def test_what_cannot_be_stored_is_refused(anybody, text):
    answer = anybody.post("/users", {"user": {**JAKE, "username": text}})
    assert answer.status_code in (400, 422)
    assert answer.json["errors"]


@pytest.mark.usefixtures("empty")
def test_a_name_or_an_address_belongs_to_one_user(anybody):
    assert anybody.post("/users", {"user": JAKE}).status_code == 201
    for user, errors in [
        ({**JAKE, "email": "other@jake.jake"}, {"username": TAKEN}),
        ({**JAKE, "username": "other"}, {"email": TAKEN}),
        ({**JAKE, "username": "other", "email": "Jake@JAKE.jake"}, {"email": TAKEN}),
        (JAKE, {"username": TAKEN, "email": TAKEN}),
    ]:
        answer = anybody.post("/users", {"user": user})
        assert answer.status_code == 422
        assert answer.json == {"errors": errors}


@pytest.mark.usefixtures("empty")
def test_of_two_who_register_a_name_at_once_one_gets_it(anybody):
    def register(number):
        return anybody.post("/users", {"user": {**JAKE, "email": f"{number}@jake.jake"}})

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(register, range(4)))
    assert sorted(one.status_code for one in answers) == [201, 422, 422, 422]
    refused = [one.json for one in answers if one.status_code == 422]
    assert refused == [{"errors": {"username": TAKEN}}] * 3


def test_a_wrong_password_or_an_unknown_address_is_told_alike(anybody, jake):
    answers = [
        log_in(anybody, jake.user["email"], "wrong"),
        log_in(anybody, "nobody@example.org", "jakejake"),
    ]
    assert [one.status_code for one in answers] == [401, 401]
    assert answers[0].json == answers[1].json
    assert answers[0].json["errors"]


def test_passwords_cannot_be_tried_for_ever(anybody, jake):
    answers = [log_in(anybody, jake.user["email"], f"wrong {n}") for n in range(11)]
    assert [one.status_code for one in answers] == [401] * 10 + [429]
    assert answers[-1].json["errors"]


@pytest.mark.parametrize("name", ["email", "username", "bio", "image"])
def test_an_update_changes_what_is_sent_and_nothing_else(jake, name):
    before = jake.get("/user").json["user"]
    value = "other@example.org" if name == "email" else "something new"
    answer = jake.put("/user", {"user": {name: value}})
    assert answer.status_code == 200
    after = jake.get("/user").json["user"]
    same = {"token"}
    assert {k: v for k, v in after.items() if k not in same} == {
        k: v for k, v in {**before, name: value}.items() if k not in same
    }


def test_bio_and_image_may_be_taken_away(jake):
    jake.put("/user", {"user": {"bio": "I like to skateboard", "image": "https://x.example/1"}})
    answer = jake.put("/user", {"user": {"bio": None}})
    assert answer.json["user"]["bio"] is None
    assert answer.json["user"]["image"] == "https://x.example/1"


@pytest.mark.parametrize("name", ["email", "username", "password"])
def test_an_update_leaves_nothing_blank(jake, name):
    answer = jake.put("/user", {"user": {name: ""}})
    assert answer.status_code == 422
    assert answer.json == {"errors": {name: BLANK}}


@pytest.mark.parametrize("body", [{}, {"user": None}, {"bio": "x"}, []])
def test_an_update_without_envelope_is_refused(jake, body):
    assert jake.put("/user", body).status_code == 422


def test_an_update_takes_nobodys_name_or_address(jake, anah):
    for name in ("username", "email"):
        answer = jake.put("/user", {"user": {"bio": "changed", name: anah.user[name]}})
        assert answer.status_code == 422
        assert answer.json == {"errors": {name: TAKEN}}
        assert jake.put("/user", {"user": {name: jake.user[name]}}).status_code == 200
    assert jake.get("/user").json["user"]["bio"] is None


def test_a_new_password_takes_the_place_of_the_old_one(anybody, jake):
    email = jake.user["email"]
    answer = jake.put("/user", {"user": {"password": "another one"}})
    assert "password" not in answer.text
    assert log_in(anybody, email, "jakejake").status_code == 401
    assert log_in(anybody, email, "another one").status_code == 200


def test_a_new_password_ends_all_tokens_but_the_one_in_use(app, anybody, jake):
    other = log_in(anybody, jake.user["email"], "jakejake").json["user"]["token"]
    new = jake.put("/user", {"user": {"password": "another one"}}).json["user"]["token"]
    for token, status in [(jake.user["token"], 200), (new, 200), (other, 401)]:
        headers = {"Authorization": f"Token {token}"}
        assert anybody.get("/user", headers=headers).status_code == status


@pytest.mark.parametrize(("method", "path"), REQUIRED)
def test_who_has_to_be_logged_in_is_asked_for_a_token_first(anybody, jake, method, path):
    token = jake.user["token"]
    for given in [
        None,
        "",
        "Token",
        "Token ",
        "Token x",
        f"Token {token}x",
        f"Token {token[:-4]}AAAA",
        f"Token {token} {token}",
        token,
        f"Basic {token}",
    ]:
        headers = {} if given is None else {"Authorization": given}
        answer = anybody.send(method, path, headers=headers, json={})
        assert answer.status_code == 401, given
        assert answer.json["errors"]
        assert answer.headers["WWW-Authenticate"].startswith("Token realm=")


def test_what_was_made_for_a_user_is_not_kept_by_caches(jake):
    answer = jake.get("/user")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Authorization" in answer.headers["Vary"]


def test_the_scheme_is_read_whatever_its_case(anybody, jake):
    headers = {"Authorization": f"token {jake.user['token']}"}
    assert anybody.get("/user", headers=headers).status_code == 200
