"""Files as answers: conditional and partial requests, encoded variants, and no way out of a folder.

`send_file` answers with one file, `static` makes a handler for a folder of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Request, Response

from kit.compression import preferred
from kit.files.paths import close_all, open_below, open_file
from kit.files.sending import respond
from kit.files.types import attachment, harmless, type_of

__all__ = ["HASHED", "attachment", "send_file", "static"]

HASHED = r"\.(?=[0-9]*[a-f])[0-9a-f]{8,}\."
"""Which names have a hash of the content: ``app.3f2a91bc.css``. A date (``.20260131.``) is none."""

_NOSNIFF = ("X-Content-Type-Options", "nosniff")
_SANDBOX = ("Content-Security-Policy", "sandbox; default-src 'none'")
_FOR_EVER = "public, max-age=31536000, immutable"
_CODINGS = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}  # the smallest first


def send_file(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    request: Request,
    download: bool | str = False,
    untrusted: bool = False,
    media_type: str = "",
    cache_control: str = "private, no-cache",
) -> Response:
    """Answer `request` with a file: with ETag, Last-Modified and, if asked for, one range of bytes.

    `path` is the file. Or it is a folder, and `name` the file in it: that may come from a client,
    since it never leads out of the folder, to a name with a dot in front, or to anything but a
    regular file: that is 404. Never put into `path` what comes from a client.

    `download` makes browsers save the file, under a name of your own if it is text. Say
    `untrusted` of files that users have uploaded: they are saved too, they may run no scripts
    even if they are opened, and only media types that nobody can run are kept. Without
    `media_type` the end of the file's name says which it is.
    """
    own = os.path.basename(name or os.fspath(path))
    kind = media_type or type_of(own)
    headers = [_NOSNIFF, ("Cache-Control", cache_control)]
    if untrusted:
        kind = harmless(kind)
        headers.append(_SANDBOX)
    if download or untrusted:
        saved = download if isinstance(download, str) else own
        headers.append(("Content-Disposition", attachment(saved)))
    found = open_file(path) if name is None else open_below(path, name)[0]
    return respond(request.environ, found, [("Content-Type", kind), *headers])


def static(
    folder: str | os.PathLike[str],
    *,
    types: Mapping[str, str] | None = None,
    immutable: str = HASHED,
    private: bool = False,
    fallback: str = "",
) -> Callable[[Request, str], Response]:
    """Return a handler that answers with the file of a folder that a path names, or with 404.

    Names in which the regular expression `immutable` is found are cached for ever, others are
    asked for again each time (which a 304 answers). ``app.css.br``, ``.zst`` and ``.gz`` beside
    ``app.css`` are sent in its place to clients that take them, if they are not older. `types`
    are media types by the end of the name, such as ``{".glb": "model/gltf-binary"}``, where the
    usual ones do not do. Files that not everybody may see are `private`: nothing on the way to a
    browser keeps them. The file `fallback` answers for all paths that name no file, as pages want
    that find their own way in a browser. Raises ValueError where there is no such folder or file,
    or none that may be served.
    """
    root = os.path.realpath(folder)
    if not os.path.isdir(root):
        raise ValueError(f"{os.fspath(folder)!r} is no folder ({root}): make it, or name another")
    if fallback:
        _check_fallback(root, fallback)
    hashed = re.compile(immutable).search
    own = dict(types or {})

    def serve(request: Request, path: str) -> Response:
        try:
            if request.environ.get("PATH_INFO", "").endswith("/"):
                raise NotFound  # a file is no folder
            return serve_one(request, path)
        except NotFound:
            if not fallback or "\\" in path:
                raise
            return serve_one(request, fallback)

    def serve_one(request: Request, path: str) -> Response:
        found, variants = open_below(root, path, _CODINGS.values())
        name = path.rpartition("/")[2]
        kind = own.get(os.path.splitext(name)[1].lower()) or type_of(name)
        cached = _FOR_EVER if hashed(name) else "no-cache"
        cached = f"private, {cached.removeprefix('public, ')}" if private else cached
        headers = [("Content-Type", kind), _NOSNIFF, ("Cache-Control", cached)]
        if not variants:
            return respond(request.environ, found, headers)
        headers.append(("Vary", "Accept-Encoding"))
        offers = tuple(coding for coding, suffix in _CODINGS.items() if suffix in variants)
        coding = preferred(request.environ.get("HTTP_ACCEPT_ENCODING", ""), offers)
        chosen = variants.pop(_CODINGS[coding]) if coding else found
        close_all(variants)
        if chosen is not found:
            found.file.close()
        return respond(request.environ, chosen, headers, coding)

    return serve


def _check_fallback(root: str, name: str) -> None:
    """Raise ValueError for a fallback that would be 404."""
    try:
        found, _ = open_below(root, name)
    except NotFound:
        raise ValueError(
            f"fallback = {name!r} is no file in {root} that can be served: name one by its path"
            " below that folder, with no dot in front and no way out"
        ) from None
    found.file.close()
