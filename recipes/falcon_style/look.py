"""Look: the image service of Falcon's tutorial."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

import framework as falcon

FOLDER = Path(__file__).parent
MEDIA_TYPES = {
    "png": falcon.MEDIA_PNG,
    "jpg": falcon.MEDIA_JPEG,
    "jpeg": falcon.MEDIA_JPEG,
    "jpe": falcon.MEDIA_JPEG,
    "gif": falcon.MEDIA_GIF,
}
ENDINGS = {falcon.MEDIA_PNG: "png", falcon.MEDIA_JPEG: "jpg", falcon.MEDIA_GIF: "gif"}


def validate_image_type(req, resp, resource, params):
    if req.content_type not in ENDINGS:
        raise falcon.HTTPBadRequest(
            title="Bad request",
            description="Image type not allowed. Must be PNG, JPEG, or GIF",
        )


class Collection:
    def __init__(self, image_store):
        self._image_store = image_store

    def on_get(self, req, resp):
        max_size = req.get_param_as_int("maxsize", min_value=1)
        images = self._image_store.list(max_size)
        resp.media = {"images": [{"href": f"/images/{name}"} for name in images]}

    @falcon.before(validate_image_type)
    def on_post(self, req, resp):
        name = self._image_store.save(req.stream, req.content_type)
        resp.status = falcon.HTTP_201
        resp.location = f"/images/{name}"


class Item:
    def __init__(self, image_store):
        self._image_store = image_store

    def on_get(self, req, resp, name):
        try:
            stream, content_length = self._image_store.open(name)
        except OSError:
            raise falcon.HTTPNotFound from None
        resp.content_type = MEDIA_TYPES[name.rpartition(".")[2]]
        resp.set_stream(stream, content_length)


class ImageStore:
    """Images as files of one folder, whose names it makes up."""

    _CHUNK_SIZE_BYTES = 65536
    _UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    _NAME = re.compile(rf"{_UUID}\.(?:{'|'.join(MEDIA_TYPES)})")

    def __init__(self, storage_path, uuidgen=uuid.uuid4):
        self._storage_path = Path(storage_path)
        self._storage_path.mkdir(parents=True, exist_ok=True)
        self._uuidgen = uuidgen

    def save(self, image_stream, image_content_type):
        """Keep an image as it comes in, and return its name; half an image is never seen."""
        name = f"{self._uuidgen()}.{ENDINGS[image_content_type]}"
        incoming = self._storage_path / f"{name}.part"
        try:
            with incoming.open("xb") as image_file:
                while chunk := image_stream.read(self._CHUNK_SIZE_BYTES):
                    image_file.write(chunk)
            incoming.rename(self._storage_path / name)
        finally:
            incoming.unlink(missing_ok=True)
        return name

    def open(self, name):
        """Return an image as a file, and its size; raise OSError where there is none."""
        if not self._NAME.fullmatch(name):
            raise FileNotFoundError(name)
        stream = (self._storage_path / name).open("rb")
        return stream, os.fstat(stream.fileno()).st_size

    def list(self, max_size=None):
        """Return the names of all images, or of those with at most so many bytes."""
        images = [name for name in os.listdir(self._storage_path) if self._NAME.fullmatch(name)]
        if max_size is not None:
            sizes = {name: (self._storage_path / name).stat().st_size for name in images}
            images = [name for name in images if sizes[name] <= max_size]
        return sorted(images)


image_store = ImageStore(os.environ.get("LOOK_STORAGE_PATH", FOLDER / "photos" / "look"))

app = falcon.App(FOLDER / "kit.toml")
app.add_route("/images", Collection(image_store))
app.add_route("/images/{name}", Item(image_store))
