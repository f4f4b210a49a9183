"""What Look promises."""

from __future__ import annotations

import io
import re
from contextlib import suppress

import pytest

from kit.testing import client as browser

ENDINGS = {"image/png": "png", "image/jpeg": "jpe?g?", "image/gif": "gif"}
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
MISSING = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def client(look, own_folders):
    """A client of Look without images."""
    for image in (own_folders / "look").iterdir():
        image.unlink()
    return browser(look)


def posted(client, body=b"\x89PNG", kind="image/png"):
    """Post an image, and return its address."""
    response = client.post("/images", data=body, content_type=kind)
    assert (response.status_code, response.data) == (201, b"")
    return response.headers["Location"]


def listed(client, query=""):
    response = client.get(f"/images{query}")
    assert response.headers["Content-Type"] == "application/json"
    assert list(response.json) == ["images"]
    return [image.pop("href") for image in response.json["images"]]


def allowed(response):
    return {one.strip() for one in response.headers["Allow"].split(",")}


@pytest.mark.parametrize("kind", ENDINGS)
def test_an_image_comes_back_as_it_was_posted(client, kind):
    address = posted(client, b"\x00<b>\xff", kind)
    assert re.fullmatch(f"/images/{UUID}\\.{ENDINGS[kind]}", address)
    response = client.get(address)
    assert (response.status_code, response.data) == (200, b"\x00<b>\xff")
    assert response.headers["Content-Type"] == kind
    assert response.headers["Content-Length"] == "5"
    assert client.head(address).headers["Content-Length"] == "5"


def test_the_list_shows_all_images(client):
    assert listed(client) == []
    addresses = {posted(client), posted(client)}
    assert len(addresses) == 2, "the same image twice is two images"
    assert set(listed(client)) == addresses


def test_only_images_up_to_a_size_are_listed(client):
    small, large = posted(client, b"x" * 10), posted(client, b"x" * 11)
    assert listed(client, "?maxsize=10") == [small]
    assert set(listed(client, "?maxsize=11")) == {small, large}
    assert listed(client, "?maxsize=1") == []


@pytest.mark.parametrize("size", ["0", "-1", "x", "", "1.5", "1e3", "9" * 5000])
def test_a_size_that_is_none_is_told_by_its_name(client, size):
    response = client.get(f"/images?maxsize={size}")
    assert response.status_code == 400
    assert response.json["title"] == "Invalid parameter"
    assert "maxsize" in response.json["description"]


@pytest.mark.parametrize("kind", ["image/jpx", "image/svg+xml", "text/html", "", None])
def test_other_types_are_refused(client, kind):
    response = client.post("/images", data=b"x", content_type=kind)
    assert response.status_code == 400
    assert response.json == {
        "title": "Bad request",
        "description": "Image type not allowed. Must be PNG, JPEG, or GIF",
    }
    assert listed(client) == []


class Pieces(io.RawIOBase):
    """A body of so many bytes, of which not much may be asked for at once."""

    def __init__(self, size):
        self.left = size

    def read(self, size=-1):
        assert 0 <= size <= 1 << 20, "a large body is not read at once"
        piece = b"x" * min(size, self.left, 50_000)
        self.left -= len(piece)
        return piece


def chunked(body):
    """The environ of a request with a body of unknown length."""
    return {
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "CONTENT_LENGTH": "",
        "CONTENT_TYPE": "image/png",
    }


def test_a_large_image_comes_in_chunks(client, own_folders):
    response = client.post("/images", environ_overrides=chunked(Pieces(5_000_000)))
    assert response.status_code == 201
    assert len(client.get(response.headers["Location"]).data) == 5_000_000
    assert len(list((own_folders / "look").iterdir())) == 1


def test_half_an_image_is_none(client, own_folders):
    promised = {"CONTENT_LENGTH": "20"}
    with suppress(RuntimeError):  # by ASGI a client that broke off is not told anything
        client.post("/images", data=b"x" * 10, content_type="image/png", environ_overrides=promised)
    assert listed(client) == list((own_folders / "look").iterdir()) == []


def test_what_is_too_large_is_refused(client, own_folders):
    too_large = b"x" * 6_000_001
    for response in (
        client.post("/images", data=too_large, content_type="image/png"),
        client.post("/images", environ_overrides=chunked(Pieces(len(too_large)))),
    ):
        assert response.status_code == 413
        assert response.json["title"].startswith("413 ")
        assert "6 MB" in response.json["description"]
    assert list((own_folders / "look").iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        f"{MISSING}.png",
        *("nothing", f"{MISSING}", "x.png", f"{MISSING}.svg", f"{MISSING}.part"),
        *("..%2fkit.toml", "%2e%2e", "..%5ckit.toml", "%00.png", f"..%2f{MISSING}.png"),
    ],
)
def test_other_names_are_not_found(client, name):
    response = client.get(f"/images/{name}")
    assert response.status_code in (400, 404)
    assert response.json["title"][:3] == str(response.status_code)


def test_an_ending_in_capitals_is_another_name(client):
    assert client.get(posted(client).replace(".png", ".PNG")).json == {"title": "404 Not Found"}


def test_other_files_of_the_folder_are_not_shown(client, own_folders):
    for name in ("notes.txt", f"{MISSING}.png.part", f"x{MISSING}.png"):
        (own_folders / "look" / name).write_text("secret")
        assert client.get(f"/images/{name}").status_code == 404
    assert listed(client) == []


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_the_collection_has_two_methods(client, method):
    response = getattr(client, method)("/images")
    assert (response.status_code, response.json) == (405, {"title": "405 Method Not Allowed"})
    assert allowed(response) >= {"GET", "POST"}
    response = client.options("/images")
    assert response.status_code in (200, 204)
    assert allowed(response) >= {"GET", "POST"}


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_an_image_can_only_be_had(client, method):
    response = getattr(client, method)(posted(client))
    assert (response.status_code, response.json) == (405, {"title": "405 Method Not Allowed"})
    assert "GET" in allowed(response)


@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json", "image/png"])
@pytest.mark.parametrize("path", ["/", "/nothing", "/image", "/images/x/y", "/a/b/"])
def test_unknown_urls_are_told_in_json(client, path, accept):
    response = client.get(path, headers={"Accept": accept})
    assert (response.status_code, response.json) == (404, {"title": "404 Not Found"})
    assert response.headers["Content-Type"] == "application/json"
