"""ASGI Look: the image service of Falcon's ASGI tutorial."""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import time
import uuid
import warnings
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import framework as falcon
import PIL.Image

from kit import in_thread

FOLDER = Path(__file__).parent
MAX_PIXELS = 25_000_000  # 100 MB when it is unpacked
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")  # others run programs, or are rare
AT_A_TIME = 2  # conversions

PIL.Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)


class Config:
    def __init__(self):
        folder = os.environ.get("ASGI_LOOK_STORAGE_PATH", FOLDER / "photos" / "asgilook")
        self.storage_path = Path(folder)
        self.storage_path.mkdir(parents=True, exist_ok=True)
        self.uuid_generator = uuid.uuid4
        self.min_thumb_size = 64


@dataclass(frozen=True)
class Image:
    config: Config
    image_id: str
    size: tuple[int, int]
    modified: float

    @property
    def path(self):
        return self.config.storage_path / f"{self.image_id}.jpeg"

    @property
    def uri(self):
        return f"/images/{self.image_id}.jpeg"

    def thumbnails(self):
        """Return the addresses of all thumbnails, each half as large as the one before."""
        width, height = self.size
        addresses = []
        while min(width := width // 2, height := height // 2) >= self.config.min_thumb_size:
            addresses.append(f"/thumbnails/{self.image_id}/{width}x{height}.jpeg")
        return addresses

    def serialize(self):
        return {
            "id": self.image_id,
            "image": self.uri,
            "modified": formatdate(self.modified, usegmt=True),
            "size": list(self.size),
            "thumbnails": self.thumbnails(),
        }


class Store:
    """Pictures in a folder. All of it is plain code that takes its time: see `in_turn`."""

    def __init__(self, config):
        self._config = config
        self._turns = asyncio.Semaphore(AT_A_TIME)

    async def in_turn(self, method, *args):
        """Call a method that computes in a thread, only so many at a time."""
        async with self._turns:
            return await in_thread(method, *args)

    def get(self, image_id):
        """Return an image, or None."""
        path = self._config.storage_path / f"{image_id}.jpeg"
        try:
            with PIL.Image.open(path, formats=["JPEG"]) as picture:
                return Image(self._config, str(image_id), picture.size, path.stat().st_mtime)
        except FileNotFoundError:
            return None

    def list_images(self):
        """Return all images, the oldest first."""
        paths = sorted(
            (path.stat().st_mtime_ns, path) for path in self._config.storage_path.glob("*.jpeg")
        )
        return [image for _, path in paths if (image := self.get(path.stem))]

    def save(self, image_id, data):
        """Keep a picture as JPEG; an answer of 4xx is raised for what is none."""
        converted = self._converted(data)
        path = self._config.storage_path / f"{image_id}.jpeg"
        incoming = path.with_suffix(".part")
        incoming.write_bytes(converted)
        now = time.time_ns()
        os.utime(incoming, ns=(now, now))  # file systems count in coarser steps
        incoming.rename(path)
        return self.get(image_id)

    @staticmethod
    def _converted(data):
        output = io.BytesIO()
        try:
            with PIL.Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                picture.convert("RGB").save(output, "JPEG", quality=90)
        except (PIL.Image.DecompressionBombWarning, PIL.Image.DecompressionBombError) as error:
            told = f"An image has at most {MAX_PIXELS} pixels."
            raise falcon.HTTPContentTooLarge(description=told) from error
        except Exception as error:  # decoders raise all kinds of them for torn files
            told = "This is no picture that can be read."
            raise falcon.HTTPUnprocessableEntity(description=told) from error
        return output.getvalue()

    def make_thumbnail(self, image, size):
        output = io.BytesIO()
        with PIL.Image.open(image.path, formats=["JPEG"]) as picture:
            picture.draft("RGB", size)
            picture.resize(size).save(output, "JPEG", quality=85)
        return output.getvalue()


class Images:
    def __init__(self, config, store):
        self._config = config
        self._store = store

    async def on_get(self, req, resp):
        images = await in_thread(self._store.list_images)
        resp.media = [image.serialize() for image in images]

    async def on_get_image(self, req, resp, image_id):
        image = await in_thread(self._store.get, image_id)
        if image is None:
            raise falcon.HTTPNotFound
        resp.content_type = falcon.MEDIA_JPEG
        resp.data = await in_thread(image.path.read_bytes)

    async def on_post(self, req, resp):
        data = await req.stream.read()
        image_id = str(self._config.uuid_generator())
        image = await self._store.in_turn(self._store.save, image_id, data)
        resp.status = falcon.HTTP_201
        resp.location = image.uri
        resp.media = image.serialize()


class Thumbnails:
    def __init__(self, store):
        self._store = store

    async def on_get(self, req, resp, image_id, width, height):
        image = await in_thread(self._store.get, image_id)
        if image is None or req.path not in image.thumbnails():
            raise falcon.HTTPNotFound
        resp.content_type = falcon.MEDIA_JPEG
        resp.data = await self._store.in_turn(self._store.make_thumbnail, image, (width, height))


class CachingMiddleware:
    """Keeps answers to GET by their path, in whatever fills the slot ``cache``.

    What was asked for before a change must not be kept after it: so the entries of a path bear a
    mark, and a change gives the path a new one.
    """

    INVALIDATE_ON = frozenset({"DELETE", "POST", "PUT"})
    CACHE_HEADER = "X-ASGILook-Cache"

    def __init__(self, app):
        self._app = app

    @property
    def _cache(self):
        return self._app.provided("cache")

    async def process_request(self, req, resp):
        resp.context.cached = False
        if req.method != "GET":
            return
        mark = await self._cache.get(f"mark {req.path}") or b""
        req.context.key = f"entry {req.path} {mark.hex()}"
        if entry := await self._cache.get(req.context.key):
            content_type, _, resp.data = entry.partition(b"\n")
            resp.content_type = content_type.decode()
            resp.complete = resp.context.cached = True

    async def process_response(self, req, resp, resource, req_succeeded):
        if not req_succeeded:
            return
        if req.method in self.INVALIDATE_ON:
            await self._cache.set(f"mark {req.path}", secrets.token_bytes(8))
        elif resp.context.cached:
            resp.set_header(self.CACHE_HEADER, "Hit")
        elif req.method == "GET" and (body := resp.render_body()) is not None:
            resp.set_header(self.CACHE_HEADER, "Miss")
            await self._cache.set(req.context.key, b"%b\n%b" % (resp.content_type.encode(), body))


config = Config()
store = Store(config)

app = falcon.App(FOLDER / "asgilook.toml")
app.add_middleware(CachingMiddleware(app))
images = Images(config, store)
app.add_route("/images", images)
app.add_route("/images/{image_id:uuid}.jpeg", images, suffix="image")
app.add_route("/thumbnails/{image_id:uuid}/{width:int}x{height:int}.jpeg", Thumbnails(store))
