"""What ASGI Look promises."""

from __future__ import annotations

import io
import re
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import PIL.Image
import pytest

from kit.testing import client as browser

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
MISSING = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def client(asgilook):
    return browser(asgilook)


def picture(size=(4, 3), kind="PNG", mode="RGB"):
    output = io.BytesIO()
    PIL.Image.new(mode, size, 120).save(output, kind)
    return output.getvalue()


def posted(client, size=(4, 3), **options):
    response = client.post("/images", data=picture(size, **options))
    assert response.status_code == 201
    assert response.headers["Location"] == response.json["image"]
    return response.json


def size_of(data):
    with PIL.Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        return image.size


def test_an_image_is_told_of(client):
    before = int(time.time())
    image = posted(client, (640, 360))
    own = image["id"]
    assert re.fullmatch(UUID, own)
    modified = parsedate_to_datetime(image.pop("modified"))
    assert before <= modified.timestamp() <= time.time()
    assert image == {
        "id": own,
        "image": f"/images/{own}.jpeg",
        "size": [640, 360],
        "thumbnails": [f"/thumbnails/{own}/320x180.jpeg", f"/thumbnails/{own}/160x90.jpeg"],
    }


@pytest.mark.parametrize(
    ("size", "thumbnails"),
    [
        *(((127, 127), []), ((1000, 100), []), ((1, 1), []), ((128, 128), ["64x64"])),
        ((256, 300), ["128x150", "64x75"]),
    ],
)
def test_thumbnails_are_halves_of_at_least_64_pixels(client, size, thumbnails):
    found = posted(client, size)["thumbnails"]
    assert [re.fullmatch(r"/thumbnails/.{36}/(.*)\.jpeg", one)[1] for one in found] == thumbnails


@pytest.mark.parametrize(
    "options",
    [
        *({"kind": kind} for kind in ("PNG", "GIF", "JPEG", "BMP", "TIFF", "WEBP")),
        *({"mode": mode} for mode in ("RGBA", "L", "1", "P", "I;16")),
    ],
)
def test_pictures_of_many_kinds_become_jpeg(client, options):
    response = client.get(posted(client, (5, 3), **options)["image"])
    assert response.headers["Content-Type"] == "image/jpeg"
    assert size_of(response.data) == (5, 3)


@pytest.mark.parametrize("kind", ["image/png", "text/plain", "application/json", None])
def test_the_type_that_a_client_tells_does_not_matter(client, kind):
    assert client.post("/images", data=picture(), content_type=kind).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"no picture", picture()[:40], picture((300, 300))[:200]),
        *(picture((300, 300), "JPEG")[:-200], picture(kind="GIF")[:20], b"%!PS-Adobe-3.0 EPSF"),
    ],
)
def test_what_is_no_picture_is_refused(client, body):
    response = client.post("/images", data=body)
    assert response.status_code in (400, 415, 422)
    assert response.json["title"]


def bomb(width, height):
    """A small file that says that it is a large picture."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.parametrize("size", [(6000, 5000), (60_000, 60_000), (1 << 30, 1)])
def test_what_would_unpack_to_too_much_is_refused(client, size):
    response = client.post("/images", data=bomb(*size))
    assert response.status_code == 413
    assert "pixels" in response.json["description"]


def test_a_body_that_is_too_large_is_refused(client):
    assert client.post("/images", data=b"x" * (21 << 20)).status_code == 413


def test_the_list_shows_the_oldest_first(client):
    ids = [posted(client)["id"] for _ in range(3)]
    assert [image["id"] for image in client.get("/images").json][-3:] == ids
    assert not client.get("/images").json[0].keys() ^ posted(client).keys()


def test_thumbnails_have_their_size(client):
    for address in posted(client, (300, 257))["thumbnails"]:
        response = client.get(address)
        assert response.headers["Content-Type"] == "image/jpeg"
        assert "{}x{}".format(*size_of(response.data)) in address


@pytest.mark.parametrize(
    "path",
    [
        *(f"/images/{MISSING}.jpeg", f"/thumbnails/{MISSING}/64x64.jpeg", "/nothing"),
        *("/images/{}.png", "/images/{}", "/images/x.jpeg", "/images/x{}.jpeg"),
        *("/thumbnails/{}/128x128.jpeg", "/thumbnails/{}/32x32.jpeg", "/thumbnails/{}/064x64.jpeg"),
        *("/thumbnails/{}/64x64.png", "/thumbnails/{}/-64x64.jpeg", "/thumbnails/{}/axb.jpeg"),
    ],
)
def test_other_addresses_are_not_found(client, path):
    address = path.format(posted(client, (128, 128))["id"])
    for _ in range(2):
        response = client.get(address)
        assert (response.status_code, response.json) == (404, {"title": "404 Not Found"})
        assert "X-ASGILook-Cache" not in response.headers


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_not_allowed(client, method):
    image = posted(client, (128, 128))
    for path in ("/images", image["image"], image["thumbnails"][0]):
        response = getattr(client, method)(path)
        assert (response.status_code, response.json) == (405, {"title": "405 Method Not Allowed"})
        assert "GET" in response.headers["Allow"]


# The cache


def test_answers_come_from_the_cache_the_second_time(client):
    image = posted(client, (256, 256))
    for path in ("/images", image["image"], *image["thumbnails"]):
        answers = [client.get(path) for _ in range(4)]
        told = [answer.headers["X-ASGILook-Cache"] for answer in answers]
        assert told == ["Miss", "Hit", "Hit", "Hit"]
        first = (200, answers[0].headers["Content-Type"], answers[0].data)
        for answer in answers:
            assert (answer.status_code, answer.headers["Content-Type"], answer.data) == first
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_change_makes_the_list_anew(client):
    client.get("/images")
    assert client.get("/images").headers["X-ASGILook-Cache"] == "Hit"
    image = posted(client)
    response = client.get("/images")
    assert response.headers["X-ASGILook-Cache"] == "Miss"
    assert response.json[-1] == image


def test_what_failed_changes_nothing_in_the_cache(client):
    client.get("/images")
    assert client.post("/images", data=b"no picture").status_code == 422
    assert client.get("/images").headers["X-ASGILook-Cache"] == "Hit"


def test_a_list_that_was_made_before_a_change_is_not_kept(client, monkeypatch):
    from asgilook import store

    posted(client)
    made = store.list_images

    def slow():
        images = made()
        posted(client)
        return images

    monkeypatch.setattr(store, "list_images", slow)
    early = client.get("/images").json
    monkeypatch.undo()
    late = client.get("/images")
    assert late.headers["X-ASGILook-Cache"] == "Miss"
    assert len(late.json) == len(early) + 1


def test_head_is_answered_and_not_kept(client):
    address = posted(client)["image"]
    head = client.head(address)
    assert (head.status_code, head.data) == (200, b"")
    response = client.get(address)
    assert response.headers["X-ASGILook-Cache"] == "Miss"
    assert int(head.headers["Content-Length"]) == len(response.data)


def test_conversions_do_not_hold_up_others(client, monkeypatch):
    from asgilook import store

    def slow(image_id, data):
        time.sleep(0.5)
        return made(image_id, data)

    made = store.save
    monkeypatch.setattr(store, "save", slow)
    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(client.post, "/images", data=picture())
        begun = time.monotonic()
        assert client.get(f"/images/{MISSING}.jpeg").status_code == 404
        assert time.monotonic() - begun < 0.4
        assert posting.result().status_code == 201
