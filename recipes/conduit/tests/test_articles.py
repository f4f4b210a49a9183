"""Articles, favourites, the feed, and tags."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

MEMBERS = {
    *("slug", "title", "description", "tagList", "createdAt", "updatedAt"),
    *("favorited", "favoritesCount", "author"),
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
BLANK = ["can't be blank"]
NEW = {"title": "A title", "description": "A description", "body": "A body"}


def article_of(caller, slug):
    answer = caller.get(f"/articles/{slug}")
    assert answer.status_code == 200, answer.text
    return answer.json["article"]


@pytest.mark.usefixtures("empty")
def test_an_article_is_published(anybody, jake):
    article = jake.write(tagList=["training", "dragons", "training"])
    assert article.keys() == {*MEMBERS, "body"}
    assert article["slug"] == "how-to-train-your-dragon"
    assert article["title"] == "How to train your dragon"
    assert article["description"] == "Ever wonder how?"
    assert article["body"] == "Very carefully."
    assert article["tagList"] == ["dragons", "training"]
    assert TIME.fullmatch(article["createdAt"])
    assert article["updatedAt"] == article["createdAt"]
    assert (article["favorited"], article["favoritesCount"]) == (False, 0)
    profile = anybody.get(f"/profiles/{jake.name}").json["profile"]
    assert article["author"] == profile
    assert article_of(anybody, article["slug"]) == article


def test_tags_may_be_left_out(jake):
    assert jake.write()["tagList"] == []
    assert jake.write(tagList=None)["tagList"] == []
    assert jake.write(tagList=[])["tagList"] == []


@pytest.mark.parametrize("tags", ["a,b", [1], [""], [None], ["x" * 101], ["x"] * 101, {"a": 1}])
def test_tags_that_are_none_are_refused(jake, tags):
    answer = jake.post("/articles", {"article": {**NEW, "tagList": tags}})
    assert answer.status_code == 422
    assert answer.json["errors"].keys() == {"tagList"}


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("value", ["", None, " ", ...])
def test_what_an_article_needs_must_not_be_blank(anybody, jake, name, value):
    article = {k: v for k, v in {**NEW, name: value}.items() if v is not ...}
    answer = jake.post("/articles", {"article": article})
    assert answer.status_code == 422
    assert answer.json == {"errors": {name: BLANK}}
    assert anybody.listed(author=jake.name) == ([], 0)


@pytest.mark.parametrize("body", [{}, NEW, {"article": None}, {"article": "x"}, []])
def test_an_article_without_envelope_is_refused(jake, body):
    assert jake.post("/articles", body).status_code == 422


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("How to Train Your Dragon", "how-to-train-your-dragon"),
        ("  What?! 100% / #1 & more... ", "what-100-1-more"),
        ("Zoë's café", "zoe-s-cafe"),
        ("../../etc/passwd", "etc-passwd"),
        ("日本", "article"),
        ("x" * 250, "x" * 250),
    ],
)
def test_a_slug_is_made_of_the_title(anybody, jake, title, slug):
    article = jake.write(title)
    assert article["slug"] == slug
    assert article_of(anybody, slug)["title"] == title


def test_the_same_title_twice_has_two_slugs(anybody, jake, anah):
    slugs = [who.write("The same")["slug"] for who in (jake, jake, anah)]
    assert len(set(slugs)) == 3
    assert all(re.fullmatch("the-same(-[a-z0-9]+)?", slug) for slug in slugs)
    assert [article_of(anybody, slug)["slug"] for slug in slugs] == slugs


def test_the_same_title_at_once_has_a_slug_each(jake):
    with ThreadPoolExecutor(6) as pool:
        slugs = list(pool.map(lambda _: jake.write("The same")["slug"], range(6)))
    assert len(set(slugs)) == 6


def test_a_title_does_not_hide_the_feed(anybody, jake):
    slug = jake.write("Feed")["slug"]
    assert slug != "feed"
    assert article_of(anybody, slug)["title"] == "Feed"


def test_a_title_that_is_too_long_is_refused(jake):
    answer = jake.post("/articles", {"article": {**NEW, "title": "x" * 251}})
    assert answer.status_code == 422
    assert answer.json == {"errors": {"title": ["is too long (maximum is 250 characters)"]}}


@pytest.mark.usefixtures("empty")
def test_a_list_has_articles_without_their_bodies(anybody, jake):
    whole = jake.write(tagList=["b", "a"])
    answer = anybody.get("/articles")
    assert answer.status_code == 200
    assert answer.json.keys() == {"articles", "articlesCount"}
    del whole["body"]
    assert answer.json["articles"] == [whole]
    assert answer.json["articlesCount"] == 1


@pytest.mark.usefixtures("empty")
def test_a_list_begins_with_the_newest_and_has_pages(anybody, jake):
    for number in range(25):
        jake.write(str(number))
    newest_first = [str(number) for number in reversed(range(25))]
    assert anybody.listed() == (newest_first[:20], 25)
    assert anybody.listed(limit=3, offset=2) == (newest_first[2:5], 25)
    assert anybody.listed(limit=100) == (newest_first, 25)
    assert anybody.listed(limit=10**12) == (newest_first, 25)
    assert anybody.listed(offset=24) == (["0"], 25)
    assert anybody.listed(offset=99) == anybody.listed(limit=0) == ([], 25)


@pytest.mark.parametrize("query", [{"limit": "x"}, {"limit": -1}, {"offset": -1}, {"offset": 1e30}])
def test_a_page_that_cannot_be_is_refused(anybody, jake, query):
    for who, path in [(anybody, "/articles"), (jake, "/articles/feed")]:
        answer = who.get(path, query_string=query)
        assert answer.status_code == 422
        assert answer.json["errors"].keys() == query.keys()


@pytest.mark.usefixtures("empty")
def test_a_list_is_filtered(anybody, jake, anah):
    jake.write("one", tagList=["x", "y"])
    two = jake.write("two", tagList=["y"])["slug"]
    three = anah.write("three", tagList=["x", "y", "z"])["slug"]
    for slug in (two, three):
        assert jake.post(f"/articles/{slug}/favorite").status_code == 200
    assert anybody.listed(tag="y") == (["three", "two", "one"], 3)
    assert anybody.listed(tag="x") == (["three", "one"], 2)
    assert anybody.listed(author=jake.name) == (["two", "one"], 2)
    assert anybody.listed(favorited=jake.name) == (["three", "two"], 2)
    assert anybody.listed(tag="y", author=jake.name) == (["two", "one"], 2)
    assert anybody.listed(tag="x", favorited=jake.name) == (["three"], 1)
    assert anybody.listed(tag="y", favorited=jake.name, author=jake.name) == (["two"], 1)
    assert anybody.listed(tag="y", limit=1, offset=1) == (["two"], 3)


@pytest.mark.parametrize("name", ["tag", "author", "favorited"])
def test_a_filter_that_fits_nothing_gives_an_empty_list(anybody, jake, anah, name):
    jake.write("one", tagList=["x"])
    assert anybody.listed(**{name: "nothing"}) == ([], 0)
    assert anybody.listed(**{name: "%"}) == ([], 0)
    assert anybody.listed(favorited=anah.name) == ([], 0)


def test_the_feed_has_articles_of_those_who_are_followed(jake, anah, join):
    celeb = join("celeb")
    celeb.write("one")
    anah.write("two")
    celeb.write("three")
    jake.write("four")
    assert jake.listed("/articles/feed") == ([], 0)
    jake.post(f"/profiles/{celeb.name}/follow")
    assert jake.listed("/articles/feed") == (["three", "one"], 2)
    jake.post(f"/profiles/{anah.name}/follow")
    assert jake.listed("/articles/feed") == (["three", "two", "one"], 3)
    assert jake.listed("/articles/feed", limit=1, offset=1) == (["two"], 3)
    jake.delete(f"/profiles/{celeb.name}/follow")
    assert jake.listed("/articles/feed") == (["two"], 1)
    [article] = jake.get("/articles/feed").json["articles"]
    assert article.keys() == MEMBERS
    assert article["author"]["following"] is True


@pytest.mark.usefixtures("empty")
def test_lists_show_what_the_viewer_knows(anybody, jake, anah):
    slug = anah.write()["slug"]
    jake.post(f"/profiles/{anah.name}/follow")
    jake.post(f"/articles/{slug}/favorite")
    for path in (f"/articles?author={anah.name}", "/articles"):
        [seen] = jake.get(path).json["articles"]
        assert (seen["favorited"], seen["author"]["following"]) == (True, True)
        for other in (anybody, anah):
            [seen] = other.get(path).json["articles"]
            assert (seen["favorited"], seen["author"]["following"]) == (False, False)
            assert seen["favoritesCount"] == 1


@pytest.mark.parametrize("name", ["description", "body"])
def test_an_update_changes_what_is_sent_alone(anybody, jake, name):
    before = jake.write(tagList=["a"])
    answer = jake.put(f"/articles/{before['slug']}", {"article": {name: "With two hands"}})
    assert answer.status_code == 200
    after = answer.json["article"]
    assert after == {**before, name: "With two hands", "updatedAt": after["updatedAt"]}
    assert after["updatedAt"] >= before["updatedAt"]
    assert article_of(anybody, before["slug"]) == after


@pytest.mark.usefixtures("empty")
def test_another_title_makes_another_slug(anybody, jake):
    before = jake.write(tagList=["a"])
    change = {"title": "Did you train your dragon?", "tagList": ["b"], "createdAt": "2000-01-01"}
    after = jake.put(f"/articles/{before['slug']}", {"article": change}).json["article"]
    assert after["slug"] == "did-you-train-your-dragon"
    assert after["title"] == "Did you train your dragon?"
    assert (after["tagList"], after["createdAt"]) == (["a"], before["createdAt"])
    assert after["body"] == before["body"]
    assert anybody.get(f"/articles/{before['slug']}").status_code == 404
    assert article_of(anybody, after["slug"]) == after


def test_the_same_title_keeps_the_slug(jake):
    jake.write("The same")
    slug = jake.write("The same")["slug"]
    answer = jake.put(f"/articles/{slug}", {"article": {"title": "The same", "body": "x"}})
    assert answer.json["article"]["slug"] == slug
    assert jake.put(f"/articles/{slug}", {"article": {}}).json["article"]["slug"] == slug


def test_a_title_that_is_taken_gets_a_slug_of_its_own(jake):
    taken, other = jake.write("One")["slug"], jake.write("Two")["slug"]
    changed = jake.put(f"/articles/{other}", {"article": {"title": "One"}}).json["article"]
    assert changed["slug"] not in (taken, other)
    assert changed["slug"].startswith("one-")


@pytest.mark.parametrize("name", NEW)
def test_an_update_leaves_nothing_blank(jake, name):
    before = jake.write()
    answer = jake.put(f"/articles/{before['slug']}", {"article": {name: ""}})
    assert answer.status_code == 422
    assert answer.json == {"errors": {name: BLANK}}
    assert article_of(jake, before["slug"]) == before


def test_an_update_without_envelope_is_refused(jake):
    slug = jake.write()["slug"]
    assert jake.put(f"/articles/{slug}", {}).json == {"errors": {"article": BLANK}}


def test_only_the_author_changes_and_deletes(anybody, jake, anah):
    before = jake.write()
    path = f"/articles/{before['slug']}"
    for answer in [anah.put(path, {"article": {"body": "x"}}), anah.put(path, {})]:
        assert answer.status_code == 403
        assert answer.json["errors"]
    assert anah.delete(path).status_code == 403
    assert article_of(anybody, before["slug"]) == before


@pytest.mark.usefixtures("empty")
def test_an_article_is_deleted_with_all_that_belongs_to_it(anybody, jake, anah):
    slug = jake.write(tagList=["a"])["slug"]
    anah.post(f"/articles/{slug}/favorite")
    anah.post(f"/articles/{slug}/comments", {"comment": {"body": "Great"}})
    answer = jake.delete(f"/articles/{slug}")
    assert (answer.status_code, answer.text) == (204, "")
    assert anybody.get(f"/articles/{slug}").status_code == 404
    assert anybody.listed() == anybody.listed(favorited=anah.name) == ([], 0)
    assert anybody.get("/tags").json == {"tags": []}


def test_a_favourite_counts_once(anybody, jake, anah):
    slug = anah.write()["slug"]
    for _ in range(2):
        answer = jake.post(f"/articles/{slug}/favorite")
        assert answer.status_code == 200
        article = answer.json["article"]
        assert (article["favorited"], article["favoritesCount"]) == (True, 1)
    assert "body" in article
    article = anah.post(f"/articles/{slug}/favorite").json["article"]
    assert (article["favorited"], article["favoritesCount"]) == (True, 2)
    for _ in range(2):
        answer = jake.delete(f"/articles/{slug}/favorite")
        assert answer.status_code == 200
        article = answer.json["article"]
        assert (article["favorited"], article["favoritesCount"]) == (False, 1)
    article = article_of(anybody, slug)
    assert (article["favorited"], article["favoritesCount"]) == (False, 1)


def test_a_favourite_at_once_counts_once(jake):
    slug = jake.write()["slug"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: jake.post(f"/articles/{slug}/favorite"), range(4)))
    assert [one.status_code for one in answers] == [200] * 4
    assert article_of(jake, slug)["favoritesCount"] == 1


def test_an_unknown_slug_is_not_found(anybody, jake):
    for answer in [
        anybody.get("/articles/nothing"),
        jake.put("/articles/nothing", {"article": {"title": ""}}),
        jake.delete("/articles/nothing"),
        jake.post("/articles/nothing/favorite"),
        jake.delete("/articles/nothing/favorite"),
        anybody.get("/articles/nothing/comments"),
        jake.post("/articles/nothing/comments", {"comment": {"body": "x"}}),
        jake.delete("/articles/nothing/comments/1"),
    ]:
        assert answer.status_code == 404
        assert answer.json["errors"]


@pytest.mark.usefixtures("empty")
def test_tags_in_use_are_listed(anybody, jake):
    assert anybody.get("/tags").json == {"tags": []}
    jake.write(tagList=["dragons", "training"])
    slug = jake.write(tagList=["dragons", "Ünïcödé <b>"])["slug"]
    answer = anybody.get("/tags", headers={"Authorization": "Token nonsense"})
    assert answer.status_code == 200
    assert sorted(answer.json["tags"]) == ["dragons", "training", "Ünïcödé <b>"]
    jake.delete(f"/articles/{slug}")
    assert sorted(anybody.get("/tags").json["tags"]) == ["dragons", "training"]


def test_text_comes_back_as_it_was(anybody, jake):
    text = "Grüße, 😀 <script>alert('1')</script> \"quoted\" \\ \r\n\t;--"
    article = jake.write("t", description=text, body=text, tagList=[text])
    seen = article_of(anybody, article["slug"])
    assert (seen["description"], seen["body"], seen["tagList"]) == (text, text, [text])


@pytest.fixture
def queries(monkeypatch):
    """What is asked of the store, one after the other."""
    from kit.slots.persistence.portable import Store

    asked = []

    def count(name):
        real = getattr(Store, name)
        counted = lambda *given, **named: asked.append(name) or real(*given, **named)  # noqa: E731 - short
        monkeypatch.setattr(Store, name, counted)

    for name in ("count", "counts", "find", "first", "get"):
        count(name)
    return asked


def test_a_list_takes_few_queries_however_long_it_is(jake, join, queries):
    taken = []
    for _ in range(3):
        author = join()
        jake.post(f"/profiles/{author.name}/follow")
        for number in range(3):
            slug = author.write(tagList=["a", f"b{number}"])["slug"]
            for reader in (author, jake):
                reader.post(f"/articles/{slug}/favorite")
        for path in ("/articles", "/articles?tag=a", "/articles/feed", "/articles?limit=100"):
            del queries[:]
            assert jake.get(path).status_code == 200
            taken.append(len(queries))
    assert taken == [8] * 12
