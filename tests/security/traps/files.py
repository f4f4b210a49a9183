"""T19 and T29: files, and passwords."""

from __future__ import annotations

import hashlib
import os
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import argon2
import pytest
from kit_argon2 import passwords as with_argon2
from kit_stdlib import passwords as with_scrypt
from werkzeug.security import generate_password_hash
from werkzeug.utils import secure_filename, send_from_directory

from kit import App, ConfigError
from kit.slots.validation.uploads import Upload
from traps import trap, weakening
from traps.stand import Stand, ask

# T19: static files and uploads


@trap("T19", ("werkzeug", "ffroute"))
def files_stay_in_their_folder(stand: Stand) -> None:
    public, outside = stand.folder / "public", stand.folder / "outside"
    (public / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (public / "a.txt").write_text("public")
    (public / "sub/b.txt").write_text("public")
    (public / ".env").write_text("secret")
    (public / "sub/.git").mkdir()
    (public / "sub/.git/config").write_text("secret")
    (public / "link.txt").symlink_to(outside / "secret.txt")
    (public / "folder").symlink_to(outside)
    (public / "inside.txt").symlink_to(public / "a.txt")
    os.mkfifo(public / "fifo")
    app = stand.app()
    app.static("/static", public)
    for name in ("a.txt", "sub/b.txt", "inside.txt"):
        assert ask(app, f"/static/{name}")[::2] == (200, b"public"), name
    for name in (
        *("link.txt", "folder/secret.txt", "../outside/secret.txt", "sub/../../outside/secret.txt"),
        *(".env", "sub/.git/config", "fifo", "", "sub", "sub/", "a.txt/", "a.txt/x", "a.txt\0"),
        *(
            "..%2foutside/secret.txt",
            "..\\outside\\secret.txt",
            f"/{outside}/secret.txt",
            "%2e%2e/",
        ),
    ):
        status, _, body = ask(app, f"/static/{name}")
        assert status in (308, 400, 404), name
        assert b"secret" not in body.replace(name.encode(), b"")
        assert b"public" not in body


@trap("T19 uploads", ("werkzeug", "ffroute"))
def uploads_get_names_of_the_application(stand: Stand) -> None:
    app, folder = stand.app(), stand.folder / "uploads"
    app.post("/")(lambda request: Upload(request.files["file"]).save(folder))
    client = stand.client(app)
    given = ("...", "", "../../evil.html", "/etc/cron.d/evil", ".htaccess", "a.php", "a\x00.html")
    for name in (*given, "a" * 200, "CON", "x.svg"):
        before = set(stand.folder.rglob("*"))
        answer = client.post("/", data={"file": (BytesIO(b"<script>"), name or "x", "text/html")})
        assert re.fullmatch(r"[0-9a-f]{32}\.bin", answer.text), name
        made = set(stand.folder.rglob("*")) - before - {folder}
        assert made == {folder / answer.text}, name
        assert (folder / answer.text).stat().st_mode & 0o777 == 0o600


@weakening("T19")
def files_are_served_by_werkzeug(monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(folder: Path, **options: Any) -> Any:
        return lambda request, path: send_from_directory(folder, path, request.environ)

    monkeypatch.setattr("kit.routes.static", plain)


@weakening("T19 uploads")
def the_name_of_the_client_is_made_secure(monkeypatch: pytest.MonkeyPatch) -> None:
    def save(upload: Upload, folder: Path) -> str:
        folder.mkdir(exist_ok=True)
        name = secure_filename(upload.filename) or "x"
        (folder / name).write_bytes(upload.read())
        return name

    monkeypatch.setattr(Upload, "save", save)


# T29: how passwords are hashed


def is_strong(hash: str, password: str) -> bool:
    """Say whether a hash is one of the choices of OWASP, and of this password, past the kit."""
    if hash.startswith("$argon2id$"):
        found = argon2.extract_parameters(hash)
        enough = {1: 47104, 2: 19456, 3: 12288, 4: 9216}.get(found.time_cost, 7168)
        return found.memory_cost >= enough and argon2.PasswordHasher().verify(hash, password)
    found = re.fullmatch(r"\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$(.+)\$(.+)", hash)
    cost, block, passes = (int(found[n]) for n in (1, 2, 3))
    salt, wanted = (b64decode(found[n] + "==") for n in (4, 5))
    memory = {"n": 2**cost, "r": block, "p": passes, "maxmem": 2**29}
    made = hashlib.scrypt(password.encode(), salt=salt, dklen=len(wanted), **memory)
    enough = {17: 1, 16: 2, 15: 3, 14: 5, 13: 10}.get(cost, 1 if cost > 17 else 99)
    return made == wanted and block >= 8 and passes >= enough


@trap("T29", ("argon2", "scrypt"))
def passwords_are_hashed_as_strongly_as_owasp_has_it(stand: Stand) -> None:
    weak = {"argon2": {"time": 1, "memory": "8 MiB"}, "scrypt": {"cost": 15}}
    assert is_refused(stand, weak)
    keeper = stand.app().provided("password_keeper")
    stored = keeper.hash("correct horse")
    assert is_strong(stored, "correct horse")
    assert not keeper.verify(stored, "correct hors")
    assert not keeper.outdated(stored)
    assert keeper.outdated(generate_password_hash("x"))


def is_refused(stand: Stand, options: dict[str, Any]) -> bool:
    tables = stand.tables()
    tables["passwords"] |= options
    try:
        App(tables)
    except ConfigError:
        return True
    return False


@weakening("T29", "scrypt")
def scrypt_is_as_cheap_as_werkzeugs(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = lambda self, options: setattr(self, "_cost", 15)  # noqa: E731
    monkeypatch.setattr(with_scrypt.ScryptPasswords, "__init__", cheap)


@weakening("T29", "argon2")
def argon2_is_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = argon2.PasswordHasher(1, 8192, 1)
    cheap = lambda self, options: setattr(self, "_hasher", hasher)  # noqa: E731
    monkeypatch.setattr(with_argon2.Argon2Passwords, "__init__", cheap)


@weakening("T29")
def weak_options_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(with_scrypt.ScryptOptions, "__post_init__", lambda options: None)
    monkeypatch.setattr(with_argon2.Argon2Options, "__post_init__", lambda options: None)
