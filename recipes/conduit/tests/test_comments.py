"""Comments on articles."""

import re

import pytest

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")


@pytest.fixture
def path(anah):
    """Where the comments on an article by Anah are."""
    return f"/articles/{anah.write()['slug']}/comments"


def say(caller, path, text="His name was my name too."):
    answer = caller.post(path, {"comment": {"body": text}})
    assert answer.status_code == 200, answer.text
    return answer.json["comment"]


def test_a_comment_is_shown_to_everybody(anybody, jake, path):
    comment = say(jake, path)
    assert comment.keys() == {"id", "createdAt", "updatedAt", "body", "author"}
    assert type(comment["id"]) is int
    assert TIME.fullmatch(comment["createdAt"])
    assert TIME.fullmatch(comment["updatedAt"])
    assert comment["body"] == "His name was my name too."
    assert comment["author"] == anybody.get(f"/profiles/{jake.name}").json["profile"]
    answer = anybody.get(path)
    assert answer.status_code == 200
    assert answer.json == {"comments": [comment]}


def test_comments_are_those_on_one_article(anybody, jake, anah, path):
    assert anybody.get(path).json == {"comments": []}
    for text in ("one", "two"):
        say(jake, path, text)
    other = f"/articles/{anah.write()['slug']}/comments"
    say(jake, other, "three")
    assert [one["body"] for one in anybody.get(path).json["comments"]] == ["one", "two"]


def test_comments_show_whom_the_viewer_follows(anybody, jake, anah, path):
    say(anah, path)
    jake.post(f"/profiles/{anah.name}/follow")
    for viewer, following in [(jake, True), (anah, False), (anybody, False)]:
        [comment] = viewer.get(path).json["comments"]
        assert comment["author"]["following"] is following


@pytest.mark.parametrize("text", ["", " ", None, ...])
def test_a_comment_says_something(jake, path, text):
    comment = {} if text is ... else {"body": text}
    answer = jake.post(path, {"comment": comment})
    assert answer.status_code == 422
    assert answer.json == {"errors": {"body": ["can't be blank"]}}
    assert jake.get(path).json == {"comments": []}


def test_a_comment_without_envelope_is_refused(jake, path):
    assert jake.post(path, {"body": "x"}).status_code == 422


def test_a_comment_is_deleted(anybody, jake, path):
    comment = say(jake, path)
    answer = jake.delete(f"{path}/{comment['id']}")
    assert (answer.status_code, answer.text) == (204, "")
    assert anybody.get(path).json == {"comments": []}
    assert jake.delete(f"{path}/{comment['id']}").status_code == 404


def test_only_its_author_deletes_a_comment(anybody, jake, anah, path):
    comment = say(jake, path)
    answer = anah.delete(f"{path}/{comment['id']}")
    assert answer.status_code == 403
    assert answer.json["errors"]
    assert len(anybody.get(path).json["comments"]) == 1


def test_a_comment_is_found_on_its_own_article_alone(anybody, jake, anah, path):
    comment = say(jake, path)
    other = f"/articles/{jake.write('Another')['slug']}/comments"
    for wrong in (
        f"{other}/{comment['id']}",
        f"{path}/{comment['id'] + 1}",
        f"/articles/nothing/comments/{comment['id']}",
        f"{path}/999999999999999999999999",
        f"{path}/x",
    ):
        assert jake.delete(wrong).status_code == 404, wrong
    assert len(anybody.get(path).json["comments"]) == 1


def test_comments_take_few_queries_however_many_they_are(jake, join, path, monkeypatch):
    from kit.slots.persistence.portable import Store

    asked = []
    real = Store.find
    monkeypatch.setattr(Store, "find", lambda *a, **k: asked.append(a) or real(*a, **k))
    for _ in range(3):
        say(join(), path)
        say(jake, path)
        del asked[:]
        jake.get(path)
        assert len(asked) == 3
