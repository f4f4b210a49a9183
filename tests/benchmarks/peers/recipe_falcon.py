"""The image service of Falcon's tutorial, with its parameter ``maxsize``."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import falcon
from client import App

from peers.recipe_data import IMAGES


class ImageStore:
    """Images in a folder."""

    _IMAGE_NAME_PATTERN = re.compile(
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.[a-z]{2,4}$"
    )

    def __init__(self, storage_path: Path) -> None:
        self._storage_path = storage_path

    def list(self, max_size: int | None = None) -> list[str]:
        """Return the names of the images that are not larger."""
        images = [
            image
            for image in os.listdir(self._storage_path)
            if self._IMAGE_NAME_PATTERN.match(image)
            and (max_size is None or (self._storage_path / image).stat().st_size <= max_size)
        ]
        return sorted(images)


class Collection:
    """All images."""

    def __init__(self, images: ImageStore) -> None:
        self._images = images

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        max_size = req.get_param_as_int("maxsize", min_value=1)
        found: list[Any] = [{"href": "/images/" + name} for name in self._images.list(max_size)]
        resp.text = json.dumps({"images": found}, ensure_ascii=False)
        resp.status = falcon.HTTP_200


def make(folder: Path) -> App:
    """Return the application; the recipe shows the same folder."""
    images = folder / "images"
    images.mkdir()
    for name, content in IMAGES.items():
        (images / name).write_bytes(content)
    app = falcon.App()
    app.add_route("/images", Collection(ImageStore(images)))
    return app
