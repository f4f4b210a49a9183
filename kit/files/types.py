"""Media types by file name, the same on every machine, and names for downloads."""

from __future__ import annotations

import os.path
import re
import unicodedata
from urllib.parse import quote

_LINES = """
application/atom+xml atom
application/epub+zip epub
application/geo+json geojson
application/gzip gz
application/json json map
application/ld+json jsonld
application/manifest+json webmanifest
application/msword doc
application/pdf pdf
application/rss+xml rss
application/rtf rtf
application/toml toml
application/vnd.apple.mpegurl m3u8
application/vnd.ms-excel xls
application/vnd.ms-fontobject eot
application/vnd.ms-powerpoint ppt
application/vnd.oasis.opendocument.presentation odp
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.oasis.opendocument.text odt
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/wasm wasm
application/x-7z-compressed 7z
application/x-bzip2 bz2
application/x-tar tar
application/x-xz xz
application/xhtml+xml xhtml
application/xml xml xsl
application/yaml yaml yml
application/zip zip
application/zstd zst
audio/aac aac
audio/flac flac
audio/mp4 m4a
audio/mpeg mp3
audio/ogg oga ogg opus
audio/wav wav
audio/webm weba
font/otf otf
font/ttf ttf
font/woff woff
font/woff2 woff2
image/avif avif
image/bmp bmp
image/gif gif
image/heic heic
image/jpeg jpeg jpg
image/jxl jxl
image/png apng png
image/svg+xml svg
image/tiff tif tiff
image/webp webp
image/x-icon ico
model/gltf+json gltf
model/gltf-binary glb
text/calendar ics
text/css css
text/csv csv
text/html htm html
text/javascript js mjs
text/markdown md
text/plain log txt
text/tab-separated-values tsv
text/vcard vcf
text/vtt vtt
video/mp4 m4v mp4
video/ogg ogv
video/quicktime mov
video/webm webm
video/x-matroska mkv
"""
_ROWS = [line.split() for line in _LINES.strip().splitlines()]
TYPES = {
    f".{end}": kind for kind, *ends in map(str.split, _LINES.split("\n")[1:-1]) for end in ends
}
UNKNOWN = "application/octet-stream"
_HARMLESS = re.compile(
    r"(?:image|audio|video)/[\w.+-]+|text/(?:plain|csv|calendar|vcard)"
    r"|application/(?:pdf|zip|gzip|msword|rtf|vnd\.[\w.+-]+)",
    re.ASCII,
).fullmatch
_NOT_IN_FALLBACK = re.compile(r"[^\w .,;=@!()+-]", re.ASCII)
_LONGEST = 100  # of the stem, and of the end


def type_of(name: str) -> str:
    """Return the media type of a file by the end of its name, text with its charset."""
    kind = TYPES.get(os.path.splitext(name)[1].lower(), UNKNOWN)
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def harmless(kind: str) -> str:
    """Return a media type if no page can be made to run it, and that of unknown bytes otherwise."""
    return kind if _HARMLESS(kind.partition(";")[0].strip().lower()) else UNKNOWN


def attachment(name: str) -> str:
    """Return the Content-Disposition that saves a file under `name` (RFC 6266, RFC 8187).

    Folders, control characters and marks that turn text around are taken out of the name; what
    old clients read instead is the same in ASCII.
    """
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(c for c in name if unicodedata.category(c)[0] != "C").strip(" .")
    stem, end = os.path.splitext(name)
    stem, end = stem[:_LONGEST] or "download", end[:_LONGEST]
    plain = (_in_ascii(stem) or "download") + _in_ascii(end)
    value = f'attachment; filename="{plain}"'
    if plain == stem + end:
        return value
    return f"{value}; filename*=UTF-8''{quote(stem + end, safe='')}"


def _in_ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _NOT_IN_FALLBACK.sub("_", plain).rstrip(" .")
