"""What is particular to mail that is written into files, or onto the screen."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from kit_stdlib.mail import ConsoleMail, FileMail, FileOptions

from kit.errors import Unavailable
from kit.slots.mail import Outbox

SENDER = "shop@example.org"
MESSAGE = Outbox(SENDER).send(to="ada@example.net", subject="Grüße", text="Straße 😀", html="<b>ß")


def mail(folder: Path) -> FileMail:
    return FileMail(FileOptions(sender=SENDER, folder=folder))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_may_read_files(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "mail"
    before = os.umask(0)
    try:
        mail(folder).send(MESSAGE)
    finally:
        os.umask(before)
    [file] = folder.iterdir()
    assert mode(folder) == 0o700
    assert mode(file) == 0o600
    assert file.suffix == ".eml"


def test_names_are_in_the_order_of_sending(tmp_path: Path) -> None:
    component = mail(tmp_path)
    numbers = []
    for _ in range(20):
        message = Outbox(SENDER).send(to="ada@example.net", subject="x", text="x")
        component.send(message)
        numbers.append(message["Message-ID"])
    found = [file.read_text() for file in sorted(tmp_path.glob("*.eml"))]
    assert len(found) == 20
    assert all(number in text for number, text in zip(numbers, found, strict=True))


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    component = mail(tmp_path)
    seen = []

    def full(self: Path, target: Path) -> None:
        seen.append((self.name, self.stat().st_size, target.suffix))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(Unavailable, match=f"{tmp_path}.*No space left"):
        component.send(MESSAGE)
    assert list(tmp_path.iterdir()) == []
    [(name, size, suffix)] = seen
    assert name.startswith(".")
    assert not name.endswith(".eml")
    assert size > 100
    assert suffix == ".eml"


def test_the_screen_shows_what_a_person_can_read(capsys: pytest.CaptureFixture[str]) -> None:
    ConsoleMail().send(MESSAGE)
    shown = capsys.readouterr().out
    for line in ("From: shop@example.org", "To: ada@example.net", "Subject: Grüße", "Straße 😀"):
        assert f"\n{line}\n" in shown
    assert "\n<b>ß\n" in shown
    assert shown.startswith("-----")
    assert "\r" not in shown
