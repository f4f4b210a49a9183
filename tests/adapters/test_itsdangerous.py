"""What is particular to sessions in signed cookies, and to tokens that itsdangerous signs."""

from __future__ import annotations

import base64
import time
import zlib

import pytest
from itsdangerous import URLSafeSerializer
from kit_itsdangerous.sessions import SignedCookieSessions
from kit_itsdangerous.tokens import ItsdangerousTokens

from kit.errors import KitError
from kit.options import Duration, Secret
from kit.slots.sessions import SessionKeeper, SessionsOptions

RECORD = b'{"created":1,"accessed":1,"data":{}}'
KEY = Secret("a secret key of 32 bytes or more")


def make(*keys: Secret, **options: object) -> SignedCookieSessions:
    return SignedCookieSessions(SessionsOptions(**options), keys or (KEY,))


def save(store: SignedCookieSessions, record: bytes = RECORD) -> str:
    return store.save("", record, None, 60)


def test_every_changed_character_of_a_cookie_is_noticed() -> None:
    store = make()
    cookie = save(store)
    for place, found in enumerate(cookie):
        other = "A" if found != "A" else "B"
        # The last character of a base64 text has bits that mean nothing.
        if place < len(cookie) - 1:
            assert store.load(f"{cookie[:place]}{other}{cookie[place + 1 :]}") is None


def test_a_cookie_signed_with_another_key_is_no_session() -> None:
    assert make(Secret("another key")).load(save(make())) is None


def test_a_former_key_still_opens_cookies_but_signs_none() -> None:
    former, current = Secret("former key"), make(KEY, Secret("former key"))
    assert current.load(save(make(former))) == RECORD
    assert make(former).load(save(current)) is None
    assert make().load(save(current)) == RECORD


def test_a_cookie_older_than_the_lifetime_is_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(lifetime=Duration.parse("1 hour"))
    cookie, now = save(store), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3590)
    assert store.load(cookie) == RECORD
    monkeypatch.setattr(time, "time", lambda: now + 3610)
    assert store.load(cookie) is None


def test_the_signature_is_hmac_sha256() -> None:
    signature = save(make()).rsplit(".", 1)[1]
    assert len(base64.urlsafe_b64decode(signature + "=")) == 32


def test_visitors_can_read_their_data() -> None:
    payload = save(make(), RECORD * 3).split(".")[1]
    assert zlib.decompress(base64.urlsafe_b64decode(payload + "==")) == RECORD * 3


def test_a_session_too_large_for_a_cookie_says_what_to_do() -> None:
    keeper = SessionKeeper(make(), SessionsOptions())
    session = keeper.open({})
    session["numbers"] = [number * 7919 for number in range(2000)]
    cookie = session.commit()
    assert cookie is not None
    with pytest.raises(KitError, match=r"has \d+ bytes.*over 4093.*keeps it on the server"):
        keeper.cookie(cookie)


def test_a_session_is_no_token_and_a_token_no_session() -> None:
    tokens = ItsdangerousTokens((KEY,))
    record = b'[99999999999,"admin"]'
    for purpose in ("sessions", "kit.sessions", ""):
        assert tokens.read(purpose, save(make(), record)) is None
    assert make().load(tokens.sign("sessions", "admin", 60)) is None


def test_the_secret_key_itself_signs_no_token() -> None:
    for salt in ("reset", "kit.tokens", "kit.tokens.reset"):
        forged = URLSafeSerializer(KEY, salt=salt).dumps([99999999999, "admin"])
        assert ItsdangerousTokens((KEY,)).read("reset", forged) is None


def test_the_signature_of_a_token_is_hmac_sha256() -> None:
    signature = ItsdangerousTokens((KEY,)).sign("reset", 1, 60).rsplit(".", 1)[1]
    assert len(base64.urlsafe_b64decode(signature + "=")) == 32
