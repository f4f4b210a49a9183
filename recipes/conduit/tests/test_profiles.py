"""Profiles, and following."""

from concurrent.futures import ThreadPoolExecutor

import pytest


def profile(caller, other):
    answer = caller.get(f"/profiles/{other.name}")
    assert answer.status_code == 200
    return answer.json["profile"]


def test_a_profile_shows_what_others_may_know(anybody, jake):
    jake.put("/user", {"user": {"bio": "I work at statefarm", "image": "https://x.example/1.jpg"}})
    assert profile(anybody, jake) == {
        "username": jake.name,
        "bio": "I work at statefarm",
        "image": "https://x.example/1.jpg",
        "following": False,
    }


def test_following_is_seen_by_who_follows(anybody, jake, anah):
    answer = jake.post(f"/profiles/{anah.name}/follow")
    assert answer.status_code == 200
    assert answer.json["profile"] == profile(jake, anah)
    assert answer.json["profile"]["following"] is True
    assert profile(anybody, anah)["following"] is False
    assert profile(anah, jake)["following"] is False


def test_following_ends(jake, anah):
    jake.post(f"/profiles/{anah.name}/follow")
    for _ in range(2):
        answer = jake.delete(f"/profiles/{anah.name}/follow")
        assert answer.status_code == 200
        assert answer.json["profile"]["following"] is False
    assert profile(jake, anah)["following"] is False


def test_following_twice_is_the_same_as_once(jake, anah):
    for _ in range(2):
        assert jake.post(f"/profiles/{anah.name}/follow").status_code == 200
    assert jake.delete(f"/profiles/{anah.name}/follow").json["profile"]["following"] is False


def test_following_twice_at_once_is_the_same_as_once(jake, anah):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: jake.post(f"/profiles/{anah.name}/follow"), range(4)))
    assert [one.status_code for one in answers] == [200] * 4
    assert jake.delete(f"/profiles/{anah.name}/follow").json["profile"]["following"] is False


@pytest.mark.parametrize("body", ["{", "[]", '{"user": {"email": 1}}', "text"])
def test_a_body_is_ignored(jake, anah, body):
    path = f"/profiles/{anah.name}/follow"
    answer = jake.post(path, data=body, content_type="application/json")
    assert answer.json["profile"]["following"] is True
    answer = jake.delete(path, data=body, content_type="application/json")
    assert answer.json["profile"]["following"] is False


def test_an_unknown_user_is_not_found(anybody, jake):
    for answer in [
        anybody.get("/profiles/nobody"),
        jake.get("/profiles/nobody"),
        jake.post("/profiles/nobody/follow"),
        jake.delete("/profiles/nobody/follow"),
    ]:
        assert answer.status_code == 404
        assert answer.json["errors"]


def test_names_are_taken_as_they_are(anybody, join):
    zoe = join("Zoë & <b>?#%")
    answer = anybody.client.get(f"/api/profiles/{quoted(zoe.name)}")
    assert answer.json["profile"]["username"] == zoe.name


def quoted(text):
    return "".join(f"%{byte:02X}" for byte in text.encode())
