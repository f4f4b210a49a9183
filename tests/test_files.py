"""Files: what goes out, in which version and part, and that nothing else does."""

from __future__ import annotations

import gzip
import inspect
import os
import random
import socket
import time
import unicodedata
from itertools import pairwise
from urllib.parse import unquote

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.http import parse_options_header
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Request as WerkzeugRequest

from kit import App, ConfigError, Routes
from kit.files import paths, send_file, static
from kit.files.types import attachment, type_of

LINES = b"".join(b"line %06d\n" % number for number in range(20_000))
LONG_AGO = "Sun, 06 Nov 1994 08:49:37 GMT"


def open_descriptors() -> list[str]:
    """What this process has open, by what it leads to."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return found


@pytest.fixture(autouse=True)
def nothing_stays_open(tmp_path):
    """No test may leave a file open."""
    yield
    assert [one for one in open_descriptors() if one.startswith(str(tmp_path))] == []


@pytest.fixture
def folder(tmp_path):
    """A folder with files, and things around it that must not go out."""
    inner = tmp_path / "files"
    (inner / "css").mkdir(parents=True)
    (inner / "a.txt").write_bytes(LINES)
    (inner / "css" / "app.css").write_text("body { margin: 0 }")
    (inner / "css" / "app.3f2a91bc.css").write_text("body {}")
    (inner / ".env").write_text("secret")
    (inner / ".git").mkdir()
    (inner / ".git" / "config").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "files-too").mkdir()
    (tmp_path / "files-too" / "secret.txt").write_text("secret")
    return inner


def mount(app: Routes, folder, **options):
    handler = static(folder, **options)
    for pattern in ("/static/<path:path>", "/static/<path:path>/"):
        app.get(pattern, name="static")(handler)
    return app


@pytest.fixture(params=["werkzeug", "ffroute"])
def client(request, folder):
    return Client(mount(App({"routing": {"use": request.param}}), folder))


def ask(method: str = "GET", **headers: str) -> WerkzeugRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return WerkzeugRequest(EnvironBuilder(method=method, headers=named).get_environ())


# What goes out


def test_a_file_goes_out_with_its_type_size_and_version(client, folder):
    changed = 1_000_000_000
    os.utime(folder / "css/app.css", (changed, changed))
    answer = client.get("/static/css/app.css")
    assert (answer.status_code, answer.data) == (200, b"body { margin: 0 }")
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["Content-Length"] == "18"
    assert answer.headers["Last-Modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert answer.headers["ETag"].startswith('"')
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "Vary" not in answer.headers


def test_head_is_get_without_the_body(client):
    get, head = client.get("/static/a.txt"), client.head("/static/a.txt")
    assert (head.status_code, head.data) == (200, b"")
    assert dict(head.headers) == dict(get.headers)


def test_an_empty_file_goes_out(client, folder):
    (folder / "empty.txt").touch()
    answer = client.get("/static/empty.txt")
    assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (200, b"", "0")


def test_other_methods_are_refused(client):
    assert client.post("/static/a.txt").status_code == 405
    assert client.options("/static/a.txt").headers["Allow"] == "GET, HEAD, OPTIONS"


def test_an_application_or_a_group_has_static_folders(folder):
    app = App()
    app.static("/static", folder)
    group = Routes(prefix="/shop", name="shop")
    group.static("/files", folder / "css", types={".css": "text/x-own"})
    app.include(group)
    client = Client(app)
    assert client.get("/static/a.txt").data == LINES
    assert client.get("/static/a.txt/").status_code == 404
    assert client.get("/shop/files/app.css").content_type == "text/x-own"
    assert app.url_for("static", path="a b/c.css") == "/static/a%20b/c.css"
    assert app.url_for("shop.static", path="app.css") == "/shop/files/app.css"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.css", "text/css; charset=utf-8"),
        ("a.JS", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.html", "text/html; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.css.map", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.woff2", "font/woff2"),
        ("a.webp", "image/webp"),
        ("a.wasm", "application/wasm"),
        ("a.webmanifest", "application/manifest+json"),
        ("a.tar.gz", "application/gzip"),
        ("a.css.br", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("a", "application/octet-stream"),
        ("css", "application/octet-stream"),
    ],
)
def test_media_types_do_not_depend_on_the_machine(name, kind):
    assert type_of(name) == kind


def test_a_type_may_be_given(folder):
    (folder / "a.glb").touch()
    client = Client(mount(App(), folder, types={".glb": "model/gltf-binary"}))
    assert client.get("/static/a.glb").content_type == "model/gltf-binary"
    answer = send_file(folder / "a.glb", request=ask(), media_type="text/plain")
    with answer:
        assert answer.content_type == "text/plain"


@pytest.mark.parametrize(
    ("name", "cached"),
    [
        ("app.3f2a91bc.css", True),
        ("app.3f2a91bc.css.map", True),
        ("app.0123456789abcdef0123456789abcdef.js", True),
        ("app.css", False),
        ("app.3f2a91b.css", False),
        ("report.20260131.csv", False),
        ("app.3F2A91BC.css", False),
        ("app-3f2a91bc.css", False),
        ("3f2a91bc.css", False),
    ],
)
def test_names_with_a_hash_are_cached_for_ever(folder, name, cached):
    (folder / name).touch()
    answer = Client(mount(App(), folder)).get(f"/static/{name}")
    wanted = "public, max-age=31536000, immutable" if cached else "no-cache"
    assert answer.headers["Cache-Control"] == wanted


def test_a_hash_in_the_name_of_a_folder_is_none(folder):
    (folder / "x.3f2a91bc.d").mkdir()
    (folder / "x.3f2a91bc.d" / "app.css").touch()
    answer = Client(mount(App(), folder)).get("/static/x.3f2a91bc.d/app.css")
    assert answer.headers["Cache-Control"] == "no-cache"


def test_what_a_hash_looks_like_can_be_said(folder):
    (folder / "app-Bq1_xY9z.js").touch()
    client = Client(mount(App(), folder, immutable=r"-[\w-]{8}\.js$"))
    assert "immutable" in client.get("/static/app-Bq1_xY9z.js").headers["Cache-Control"]


def test_a_folder_that_is_not_there_is_an_error_at_start(tmp_path):
    with pytest.raises(ValueError, match=r"is no folder \(.*\): make it, or name another"):
        static(tmp_path / "nothing")


# No way out

OUTSIDE = [
    "../secret.txt",
    "../files-too/secret.txt",
    "css/../../secret.txt",
    "..",
    ".",
    "./a.txt",
    "css/./app.css",
    "/etc/passwd",
    "//etc/passwd",
    "css//app.css",
    "..\\secret.txt",
    "css\\app.css",
    "%2e%2e/secret.txt",
    "..%2fsecret.txt",
    "a.txt\0",
    "a.txt\0.png",
    "a.txt/",
    "a.txt/.",
    "a.txt/x",
    ".env",
    ".git/config",
    "css",
    "css/",
    "",
    "nothing",
    "nothing/at/all",
    "x" * 300,
    "\ud800",
    "\udcff",
    "C:\\boot.ini",
    "~root",
]


@pytest.mark.parametrize("walks", [True, False])
@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_leads_out_of_the_folder(folder, name, walks, monkeypatch):
    monkeypatch.setattr(paths, "_WALKS", walks)
    with pytest.raises(NotFound):
        send_file(folder, name, request=ask())
    with pytest.raises(NotFound):
        static(folder)(ask(), name)


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_path_leads_out_of_the_folder(client, name):
    try:
        path = f"/static/{name}".encode().decode("latin-1")
    except UnicodeEncodeError:
        path = "/static/\xff"
    environ = EnvironBuilder().get_environ() | {"PATH_INFO": path}
    body, status, _ = run_wsgi_app(client.application, environ, buffered=True)
    assert status[:3] in ("404", "400")
    assert b"secret" not in b"".join(body)


def test_a_file_is_no_folder(client):
    assert client.get("/static/a.txt/").status_code == 404


def test_a_link_out_of_the_folder_is_404(client, folder, tmp_path):
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "out").symlink_to(tmp_path)
    (folder / "too").symlink_to(tmp_path / "files-too")
    (folder / "self").symlink_to(folder / "self")
    for name in ("link.txt", "out/secret.txt", "too/secret.txt", "out/files/a.txt/x", "self"):
        assert client.get(f"/static/{name}").status_code == 404


def test_a_link_to_another_place_in_the_folder_is_followed(client, folder):
    (folder / "latest").symlink_to("css")
    (folder / "b.txt").symlink_to(folder / "a.txt")
    assert client.get("/static/latest/app.css").status_code == 200
    assert client.get("/static/b.txt").data == LINES


def test_the_folder_itself_may_be_a_link(folder, tmp_path):
    (tmp_path / "current").symlink_to(folder)
    assert Client(mount(App(), tmp_path / "current")).get("/static/a.txt").data == LINES


@pytest.mark.parametrize("exchanged", ["css", "css/app.css"])
def test_exchanging_a_name_for_a_link_meanwhile_gains_nothing(
    folder, tmp_path, monkeypatch, exchanged
):
    """The moment between looking where a path leads and opening it is of no use."""
    (tmp_path / "app.css").write_text("secret")
    realpath = os.path.realpath

    def looked_then_exchanged(path, **options):
        found = realpath(path, **options)
        if str(path).endswith("app.css"):
            os.rename(folder / exchanged, tmp_path / "aside")
            os.symlink(tmp_path / (exchanged[4:] or "."), folder / exchanged)
        return found

    monkeypatch.setattr(os.path, "realpath", looked_then_exchanged)
    with pytest.raises(NotFound):
        send_file(folder, "css/app.css", request=ask())


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "device"])
@pytest.mark.parametrize("named", [True, False])
def test_what_is_no_regular_file_is_404_at_once(folder, kind, named, monkeypatch):
    special = folder / "special"
    monkeypatch.chdir(folder)
    if kind == "fifo":
        os.mkfifo(special)
    elif kind == "socket":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("special")
        listener.close()
    elif kind == "folder":
        special.mkdir()
    else:
        special.symlink_to("/dev/zero")
    begin = time.monotonic()
    with pytest.raises(NotFound):
        send_file(folder, "special", request=ask()) if named else send_file(special, request=ask())
    assert time.monotonic() - begin < 1


def test_what_may_not_be_read_is_404_and_logged(folder, monkeypatch, caplog):
    def refuse(path, *args, **options):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(NotFound):
        send_file(folder / "a.txt", request=ask())
    assert "no permission to read" in caplog.text
    assert "a.txt" in caplog.text


def test_another_failure_is_no_404(folder, monkeypatch):
    def too_many(path, *args, **options):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "open", too_many)
    with pytest.raises(OSError, match="Too many open files"):
        send_file(folder, "a.txt", request=ask())


def test_a_path_of_the_application_may_be_any_regular_file(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder / ".env")
    with send_file(tmp_path / "link", request=ask()) as answer:
        assert b"".join(answer.response) == b"secret"


# Versions


def test_a_client_that_has_the_version_is_told_so(client):
    first = client.get("/static/a.txt")
    for headers in (
        {"If-None-Match": first.headers["ETag"]},
        {"If-None-Match": f'"other", W/{first.headers["ETag"]}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": first.headers["Last-Modified"]},
        {
            "If-None-Match": first.headers["ETag"],
            "If-Modified-Since": LONG_AGO,
        },
    ):
        for method in ("GET", "HEAD"):
            answer = client.open("/static/a.txt", method=method, headers=headers)
            assert (answer.status_code, answer.data) == (304, b""), headers
            for name in ("ETag", "Last-Modified", "Cache-Control"):
                assert answer.headers[name] == first.headers[name]
            assert not {"Content-Type", "Content-Length"} & set(answer.headers.keys())


def test_a_client_with_another_version_gets_the_file(client):
    modified = client.get("/static/a.txt").headers["Last-Modified"]
    for headers in (
        {"If-None-Match": '"other"'},
        {"If-None-Match": "nonsense"},
        {"If-None-Match": '"other"', "If-Modified-Since": modified},
        {"If-Modified-Since": LONG_AGO},
        {"If-Modified-Since": "nonsense"},
        {"If-Modified-Since": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"},
        {"If-Match": "*"},
        {"If-Unmodified-Since": modified},
        {"If-Unmodified-Since": "nonsense"},
    ):
        answer = client.get("/static/a.txt", headers=headers)
        assert (answer.status_code, answer.data) == (200, LINES), headers


def test_a_client_that_insists_on_another_version_gets_412(client):
    etag = client.get("/static/a.txt").headers["ETag"]
    for headers in (
        {"If-Match": '"other"'},
        {"If-Match": f"W/{etag}"},
        {"If-Match": "nonsense"},
        {"If-Unmodified-Since": LONG_AGO},
    ):
        assert client.get("/static/a.txt", headers=headers).status_code == 412, headers


def test_a_changed_file_is_another_version(client, folder):
    etag = client.get("/static/a.txt").headers["ETag"]
    (folder / "a.txt").write_bytes(LINES[::-1])
    answer = client.get("/static/a.txt", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data) == (200, LINES[::-1])


@pytest.mark.parametrize("changed", [-1_000_000_000, 0, 2**40])
def test_no_time_of_change_is_beyond_the_present_or_fails(client, folder, changed):
    os.utime(folder / "a.txt", (changed, changed))
    answer = client.get("/static/a.txt")
    assert answer.status_code == 200
    assert answer.last_modified.timestamp() <= time.time()


def test_conditions_are_for_get_and_head_only(folder):
    with send_file(folder / "a.txt", request=ask("POST", If_None_Match="*")) as answer:
        assert answer.status_code == 200


# Ranges


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=0-9", slice(0, 10)),
        ("bytes=10-", slice(10, None)),
        ("bytes=-5", slice(-5, None)),
        ("bytes=-99999999999999999999", slice(None)),
        ("bytes=100000-99999999999999999999", slice(100_000, None)),
        ("Bytes=65530-65550", slice(65530, 65551)),
        ("bytes= 0-9 ", slice(0, 10)),
    ],
)
def test_a_range_is_sent_alone(client, asked, part):
    answer = client.get("/static/a.txt", headers={"Range": asked})
    assert (answer.status_code, answer.data) == (206, LINES[part])
    start, end, _ = part.indices(len(LINES))
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(LINES)}"
    assert answer.headers["Content-Length"] == str(end - start)
    assert answer.headers["ETag"] == client.get("/static/a.txt").headers["ETag"]


@pytest.mark.parametrize(
    "asked",
    [
        *("bytes=0-1,5-6", "bytes=5-1", "bytes=-", "bytes=a-b", "bytes=", "bytes", "0-5"),
        *("lines=0-1", "bytes=+1-2", "bytes=1-2-3", "bytes=٣-٤", "bytes=--5", "bytes=1.0-2"),
        f"bytes=0-{'9' * 5000}",
        "",
    ],
)
def test_what_is_no_single_range_gets_the_whole(client, asked):
    answer = client.get("/static/a.txt", headers={"Range": asked.encode().decode("latin-1")})
    assert (answer.status_code, answer.data) == (200, LINES)
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("asked", ["bytes=240000-", "bytes=99999999999999999999-", "bytes=-0"])
def test_a_range_beyond_the_end_is_416(client, asked):
    assert len(LINES) == 240_000
    answer = client.get("/static/a.txt", headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */240000"
    assert b"line" not in answer.data


def test_the_ranges_of_an_empty_file(client, folder):
    (folder / "empty.txt").touch()
    assert client.get("/static/empty.txt", headers={"Range": "bytes=0-"}).status_code == 416
    assert client.get("/static/empty.txt", headers={"Range": "bytes=-1"}).status_code == 200


def test_a_range_of_head_is_the_whole(client):
    answer = client.head("/static/a.txt", headers={"Range": "bytes=0-0"})
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(LINES)))


def test_a_range_is_of_the_version_that_the_client_has(client, folder):
    first = client.get("/static/a.txt")
    etag, modified = first.headers["ETag"], first.headers["Last-Modified"]
    later = "Fri, 01 Jan 2100 00:00:00 GMT"
    for version, status in (
        (etag, 206),
        (modified, 206),
        (f"W/{etag}", 200),
        ('"other"', 200),
        ("nonsense", 200),
        (later, 200),
    ):
        headers = {"Range": "bytes=0-4", "If-Range": version}
        answer = client.get("/static/a.txt", headers=headers)
        assert answer.status_code == status, version
        assert answer.data == (LINES[:5] if status == 206 else LINES)


def test_a_known_version_wins_over_a_range(client):
    etag = client.get("/static/a.txt").headers["ETag"]
    headers = {"Range": "bytes=0-4", "If-None-Match": etag}
    assert client.get("/static/a.txt", headers=headers).status_code == 304


def test_the_parts_of_a_file_make_the_whole(client):
    rng = random.Random(4)
    ends = sorted({0, len(LINES), *(rng.randrange(len(LINES)) for _ in range(20))})
    parts = [
        client.get("/static/a.txt", headers={"Range": f"bytes={start}-{end - 1}"}).data
        for start, end in pairwise(ends)
    ]
    assert b"".join(parts) == LINES


# Variants


def test_a_small_file_is_read_at_once_and_a_large_one_is_a_stream(folder):
    for size, is_streamed in ((65536, False), (65537, True)):
        content = os.urandom(size)
        (folder / "some.bin").write_bytes(content)
        with send_file(folder / "some.bin", request=ask()) as answer:
            assert (answer.is_streamed, answer.content_length) == (is_streamed, size)
            assert b"".join(answer.response) == content


@pytest.fixture
def variants(folder):
    """Variants of a style sheet, as bytes that say what they are."""
    for suffix in (".br", ".zst", ".gz"):
        (folder / f"css/app.css{suffix}").write_bytes(suffix.encode())
    return folder / "css"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, zstd", "zstd"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("*", "br"),
        ("*;q=0.1, zstd", "zstd"),
        ("br;q=0, *", "zstd"),
        ("gzip;q=0.001", "gzip"),
        ("gzip;q=0", ""),
        ("*;q=0", ""),
        ("identity", ""),
        ("identity;q=1, gzip;q=0.5", ""),
        ("gzip;q=0.5, identity;q=0.5", "gzip"),
        ("", ""),
        ("deflate", ""),
        ("nonsense;;q=x, ,;", ""),
        ("gzip;q=x", ""),
    ],
)
def test_a_variant_goes_out_to_those_who_take_it(client, variants, accepted, coding):
    answer = client.get("/static/css/app.css", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding", "") == coding
    suffixes = {"br": b".br", "zstd": b".zst", "gzip": b".gz", "": b"body { margin: 0 }"}
    assert answer.data == suffixes[coding]
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["Vary"] == "Accept-Encoding"


def test_each_variant_is_a_version_of_its_own(client, variants):
    etags = {}
    for coding in ("br", "zstd", "gzip", "identity"):
        headers = {"Accept-Encoding": coding}
        answer = client.get("/static/css/app.css", headers=headers)
        etags[coding] = answer.headers["ETag"]
        again = client.get(
            "/static/css/app.css", headers={**headers, "If-None-Match": etags[coding]}
        )
        assert again.status_code == 304
        assert again.headers["Vary"] == "Accept-Encoding"
    assert len(set(etags.values())) == 4


def test_a_range_of_a_variant_is_a_range_of_what_is_sent(client, variants):
    headers = {"Accept-Encoding": "br", "Range": "bytes=1-"}
    answer = client.get("/static/css/app.css", headers=headers)
    assert (answer.status_code, answer.data) == (206, b"br")
    assert answer.headers["Content-Encoding"] == "br"
    assert answer.headers["Content-Range"] == "bytes 1-2/3"


def test_an_older_variant_is_not_used(client, variants):
    changed = os.stat(variants / "app.css").st_mtime_ns
    os.utime(variants / "app.css.br", ns=(changed, changed - 1))
    os.utime(variants / "app.css.zst", ns=(changed, changed))
    answer = client.get("/static/css/app.css", headers={"Accept-Encoding": "br, zstd;q=0.5"})
    assert answer.headers["Content-Encoding"] == "zstd"
    os.utime(variants / "app.css.zst", ns=(changed, changed - 1))
    os.utime(variants / "app.css.gz", ns=(changed, changed - 1))
    answer = client.get("/static/css/app.css", headers={"Accept-Encoding": "br, zstd;q=0.5"})
    assert "Content-Encoding" not in answer.headers
    assert "Vary" not in answer.headers


def test_a_variant_is_a_regular_file_in_the_folder(client, variants, tmp_path):
    (variants / "app.css.br").unlink()
    (variants / "app.css.br").symlink_to(tmp_path / "secret.txt")
    (variants / "app.css.zst").unlink()
    os.mkfifo(variants / "app.css.zst")
    (variants / "app.css.gz").unlink()
    (variants / "app.css.gz").mkdir()
    answer = client.get("/static/css/app.css", headers={"Accept-Encoding": "br, zstd, gzip"})
    assert answer.data == b"body { margin: 0 }"


def test_a_variant_without_its_file_is_not_there(client, variants):
    (variants / "app.css").unlink()
    answer = client.get("/static/css/app.css", headers={"Accept-Encoding": "br"})
    assert answer.status_code == 404


def test_a_variant_asked_for_by_name_is_a_file_like_any_other(client, variants):
    (variants / "app.css.gz").write_bytes(gzip.compress(b"x"))
    answer = client.get("/static/css/app.css.gz", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Type"] == "application/gzip"
    assert "Content-Encoding" not in answer.headers


def test_send_file_knows_no_variants(variants):
    """Else a user who uploads ``a.css.gz`` would say what ``a.css`` is."""
    with send_file(variants, "app.css", request=ask(Accept_Encoding="gzip")) as answer:
        assert b"".join(answer.response) == b"body { margin: 0 }"


# Downloads and files of users


def test_a_file_of_a_handler_is_cached_by_nobody_else(folder):
    with send_file(folder, "css/app.3f2a91bc.css", request=ask()) as answer:
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert "Content-Disposition" not in answer.headers
    with send_file(folder, "a.txt", request=ask(), cache_control="no-store") as answer:
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("download", "value"),
    [
        (True, 'attachment; filename="a.txt"'),
        ("Letter.txt", 'attachment; filename="Letter.txt"'),
        ("Größe.txt", "attachment; filename=\"Groe.txt\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.txt"),
    ],
)
def test_a_download_is_saved_under_its_name(folder, download, value):
    with send_file(folder, "a.txt", request=ask(), download=download) as answer:
        assert answer.headers["Content-Disposition"] == value


@pytest.mark.parametrize(
    ("name", "plain", "full"),
    [
        ("a.txt", "a.txt", None),
        ("日本.pdf", "download.pdf", "日本.pdf"),
        ("日本", "download", "日本"),
        ('a"b\\c.txt', "c.txt", None),
        ('a"b.txt', "a_b.txt", 'a"b.txt'),
        ("100%25.txt", "100_25.txt", "100%25.txt"),
        ("a\r\nSet-Cookie: x=1.txt", "aSet-Cookie_ x=1.txt", "aSet-Cookie: x=1.txt"),
        ("../../etc/passwd", "passwd", None),
        ("C:\\Users\\me\\a.txt", "a.txt", None),
        ("photo\u202egpj.exe", "photogpj.exe", None),
        ("\ud800\0", "download", None),
        ("", "download", None),
        ("..", "download", None),
        (".htaccess", "htaccess", None),
        ("a'b;c,d.txt", "a_b;c,d.txt", "a'b;c,d.txt"),
        ("x" * 500 + ".txt", "x" * 100 + ".txt", None),
    ],
)
def test_the_name_of_a_download_is_a_harmless_one(name, plain, full):
    value = attachment(name)
    assert value.isascii()
    assert value.isprintable()
    simple, *more = value.removeprefix('attachment; filename="').split("; filename*=UTF-8''")
    assert simple == f'{plain}"'
    assert [unquote(one) for one in more] == ([full] if full else [])
    assert parse_options_header(value)[1]["filename"] == (full or plain)


def test_names_of_any_characters_make_proper_headers():
    rng = random.Random(7)
    for _ in range(3000):
        name = "".join(
            chr(rng.choice([rng.randrange(128), rng.randrange(0x11000)])) for _ in "12345"
        )
        found = parse_options_header(attachment(name))[1]["filename"]
        assert not {"/", "\\"} & set(found)
        assert all(unicodedata.category(c)[0] != "C" for c in found)
        assert not found.startswith(".")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "application/octet-stream"),
        ("a.js", "application/octet-stream"),
        ("a.css", "application/octet-stream"),
        ("a.xml", "application/octet-stream"),
        ("a.xhtml", "application/octet-stream"),
        ("a.wasm", "application/octet-stream"),
        ("a.webmanifest", "application/octet-stream"),
        ("a", "application/octet-stream"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.mp4", "video/mp4"),
        ("a.pdf", "application/pdf"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.docx", type_of("a.docx")),
    ],
)
def test_a_file_of_a_user_cannot_run(folder, name, kind):
    (folder / name).write_text("<script>alert(1)</script>")
    app = App()
    app.get("/")(lambda request: send_file(folder, name, request=request, untrusted=True))
    answer = Client(app).get("/")
    assert answer.headers.getlist("Content-Security-Policy") == ["sandbox; default-src 'none'"]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers["Content-Type"] == kind


@pytest.mark.parametrize("kind", ["text/html", "TEXT/HTML;x", "image/png, text/html", "image/"])
def test_no_type_that_is_given_makes_a_file_of_a_user_run(folder, kind):
    answer = send_file(folder, "a.txt", request=ask(), untrusted=True, media_type=kind)
    with answer:
        assert answer.content_type == "application/octet-stream"


# Descriptors and memory


def test_a_file_is_closed_whatever_happens(folder, tmp_path):
    """The fixture of this module looks at what is open afterwards."""
    app = mount(App(), folder)
    app.get("/fails", name="fails")(
        lambda request: [send_file(folder / "a.txt", request=request), 1 / 0]
    )
    client = Client(app)
    assert client.get("/fails").status_code == 500
    client.get("/static/a.txt", headers={"If-None-Match": "*"})
    client.get("/static/a.txt", headers={"If-Match": '"x"'})
    client.get("/static/a.txt", headers={"Range": "bytes=999999-"})
    client.head("/static/a.txt")
    environ = EnvironBuilder("/static/a.txt").get_environ()
    body, _, _ = run_wsgi_app(app, environ)
    assert next(iter(body))
    body.close()  # the client went away
    send_file(folder / "a.txt", request=ask())  # nobody wanted it


def test_the_file_that_was_opened_is_the_one_that_is_sent(folder):
    with send_file(folder, "a.txt", request=ask()) as answer:
        os.rename(folder / "css/app.css", folder / "a.txt")
        assert b"".join(answer.response) == LINES


def test_a_file_that_grows_is_sent_as_long_as_it_was(folder):
    with send_file(folder, "a.txt", request=ask()) as answer:
        with open(folder / "a.txt", "ab") as file:
            file.write(b"more")
        assert b"".join(answer.response) == LINES


def test_a_file_that_shrinks_breaks_the_answer_off(folder):
    """Else the client would wait for the rest, or take the next answer for it."""
    with send_file(folder, "a.txt", request=ask()) as answer:
        os.truncate(folder / "a.txt", 100_000)
        chunks = iter(answer.response)
        assert len(next(chunks)) + len(next(chunks)) == 100_000
        with pytest.raises(OSError, match="became shorter"):
            next(chunks)


def memory() -> int:
    """The memory of this process in bytes."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_large_file_takes_no_memory(client, folder):
    with open(folder / "large.bin", "wb") as file:
        file.truncate(200_000_000)
    environ = EnvironBuilder("/static/large.bin").get_environ()
    before = most = memory()
    body, status, headers = run_wsgi_app(client.application, environ)
    total = 0
    for number, chunk in enumerate(body):
        total += len(chunk)
        most = max(most, memory()) if number % 50 == 0 else most
    body.close()
    assert (status, total) == ("200 OK", 200_000_000)
    assert headers["Content-Length"] == "200000000"
    assert most - before < 10_000_000


def test_no_request_for_a_file_is_a_500(client, folder):
    """Random paths and headers are answered with what there is, or with an error of the client."""
    rng = random.Random(11)
    pieces = ["a.txt", "css", "app.css", "..", ".", "/", "%2e", "\\", "\0", "é", ".env", " ", "x"]
    tokens = [
        "bytes=",
        "0",
        "-",
        "9" * 30,
        ",",
        '"',
        "W/",
        "*",
        " ",
        "x",
        "GMT",
        LONG_AGO,
    ]
    names = ["HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"]
    names += ["HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_ACCEPT_ENCODING"]
    for _ in range(1500):
        path = "/static/" + "".join(rng.choices(pieces, k=rng.randrange(1, 5)))
        if rng.random() < 0.7:
            path = "/static/a.txt"
        environ = EnvironBuilder().get_environ() | {
            "PATH_INFO": path.encode().decode("latin-1"),
            **{
                name: "".join(rng.choices(tokens, k=rng.randrange(5)))
                for name in rng.choices(names, k=3)
            },
        }
        body, status, _ = run_wsgi_app(client.application, environ, buffered=True)
        assert int(status[:3]) < 500
        assert b"secret" not in b"".join(body)


def test_files_behind_a_guard_are_private(folder):
    app = App()
    (folder / "app.3f2a91bc.css").write_text("a {}")
    app.static("/open", folder)
    app.static("/guarded", folder, requires=lambda: None, name="guarded")
    group = Routes(prefix="/group", name="group", requires=lambda: None)
    group.static("/files", folder)
    app.include(group)
    client = Client(app)
    cached = [
        client.get(f"{prefix}/app.3f2a91bc.css", buffered=True).headers["Cache-Control"]
        for prefix in ("/open", "/guarded", "/group/files")
    ]
    for_ever = "max-age=31536000, immutable"
    assert cached == [f"public, {for_ever}", f"private, {for_ever}", f"private, {for_ever}"]


# A fallback


@pytest.fixture
def pages(tmp_path):
    """A client for a folder with a page that answers for all that is not there."""
    (tmp_path / "inner").mkdir()
    for name in ("index.html", "app.js", ".hidden", "inner/page.txt"):
        (tmp_path / name).write_text(name)
    app = App()
    app.static("", tmp_path, fallback="index.html")
    app.get("/hello")(lambda: "hello")
    app.static("/below", tmp_path, fallback="index.html", name="below")
    return Client(app)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        *(("/app.js", "app.js"), ("/inner/page.txt", "inner/page.txt"), ("/hello", "hello")),
        *((path, "index.html") for path in ("/", "/index.html", "/nothing", "/a/b/c/", "/inner")),
        *((path, "index.html") for path in ("/app.js/", "/.hidden", "/below/", "/below/x")),
    ],
)
def test_a_fallback_answers_for_all_that_is_no_file(pages, path, found):
    assert pages.get(path).text == found


@pytest.mark.parametrize("path", ["/..%5capp.js", "/%2e%2e/x", "/..%2fx", "/a%00"])
def test_a_fallback_does_not_answer_for_tricks(pages, path):
    assert pages.get(path).status_code in (400, 404)


def test_a_fallback_is_for_get_alone_and_knows_its_version(pages):
    page = pages.get("/nothing")
    assert page.content_type == "text/html; charset=utf-8"
    known = pages.get("/something", headers={"If-None-Match": page.headers["ETag"]})
    assert known.status_code == 304
    assert pages.post("/nothing").status_code == 405


def test_a_fallback_has_to_be_there(tmp_path):
    with pytest.raises(ValueError, match="is no file in"):
        App().static("", tmp_path, fallback="index.html")


@pytest.mark.parametrize(
    "name", [".hidden", "inner/.x", "../out.html", "/etc/passwd", "out", "a\\b", "inner", "x\0"]
)
def test_a_fallback_has_to_be_one_that_is_served(tmp_path, name):
    folder = tmp_path / "files"
    (folder / "inner").mkdir(parents=True)
    for one in (".hidden", "inner/.x", "../out.html", "a\\b"):
        (folder / one).write_text("x")
    (folder / "out").symlink_to(tmp_path / "out.html")
    with pytest.raises(ValueError, match=r"is no file in .* that can be served"):
        App().static("", folder, fallback=name)


@pytest.fixture
def one_page(tmp_path):
    (tmp_path / "index.html").write_text("page")
    return tmp_path


@pytest.mark.parametrize("first", [True, False])
def test_a_fallback_leaves_its_own_url_to_another_route(one_page, first):
    app, group = App(), Routes("/in")
    group.static("", one_page, fallback="index.html", name="inner")
    if first:
        app.get("/")(lambda: "own")
    app.static("", one_page, fallback="index.html")
    if not first:
        app.get("/")(lambda: "own")
    app.post("/in/")(lambda: "posted")  # has no GET
    app.include(group)
    visitor = Client(app)
    assert [visitor.get(path).text for path in ("/", "/x", "/in/")] == ["own", "page", "page"]
    assert sorted(one.name for one in app.routes if "fallback" in one.name) == ["inner, fallback"]
    assert visitor.get("/in/").status_code == 200


def test_what_is_wrong_with_the_route_of_a_folder_is_told_at_its_line(one_page):
    app = App()
    app.static("", one_page, fallback="index.html")
    line = inspect.currentframe().f_lineno - 1
    app.get("/<path:path>")(lambda path: "other")
    app.static("", one_page, fallback="index.html", name="again")
    with pytest.raises(ConfigError) as error:
        app.check()
    places = {one.where for one in error.value.problems}
    assert places == {f"{__file__}:{line + 2}", f"{__file__}:{line + 3}"}
    assert all(f"{__file__}:{line}." in one.what for one in error.value.problems)


def test_files_are_the_same_beside_handlers_of_another_shape(one_page):
    class Shouting(App):
        def route(self, pattern, methods=("GET",), **options):
            declare = super().route(pattern, methods, **options)
            return lambda handler: declare(lambda: handler().upper())

    app = Shouting()
    app.static("/files", one_page)
    app.get("/")(lambda: "hello")
    visitor = Client(app)
    assert (visitor.get("/").text, visitor.get("/files/index.html").text) == ("HELLO", "page")
