"""For each clause of the identity contract a component that breaks just that one.

The name keeps this file out of a normal run. A test runs it, and sees clause I7 fail in `TestI7`.
Some break the clauses that rest on theirs, too.
"""

from __future__ import annotations

import base64
import logging
import time
from urllib.parse import parse_qs

from kit_stdlib.identity import BasicIdentity, credentials

from kit.contracts.identity import PASSWORD, IdentityContract
from kit.errors import Unauthorized
from kit.slots.identity import IdentityOptions


class Whole(BasicIdentity):
    """What the broken ones are made of: keeps every clause."""

    def __init__(self, options: IdentityOptions) -> None:
        super().__init__(options)

    def identify(self, environ, accounts, user_records):
        return super().identify(environ, accounts, user_records)


class Broken(IdentityContract):
    use = Whole

    def credentials(self, site, user):
        return basic(user.name, PASSWORD)

    def wrong(self, site, user):
        return [basic(user.name, "another long secret"), basic("eve", PASSWORD)]


def basic(name, password):
    encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def named(environ):
    """The name that the credentials of a request claim."""
    return base64.b64decode(credentials(environ, "basic")).decode().partition(":")[0]


class TestI1(Broken):
    class use(Whole):
        def identify(self, environ, accounts, user_records):
            return accounts.find("ada")


class TestI2(Broken):
    class use(Whole):
        def identify(self, environ, accounts, user_records):
            return super().identify(environ, accounts, user_records) and accounts.find("ada")


class TestI3(Broken):
    class use(Whole):
        def identify(self, environ, accounts, user_records):
            try:
                return super().identify(environ, accounts, user_records)
            except Unauthorized:
                return accounts.find(named(environ))


class TestI4(Broken):
    class use(Whole):
        def identify(self, environ, accounts, user_records):
            if credentials(environ, "basic") is not None:
                named(environ)
            return super().identify(environ, accounts, user_records)


class TestI5(Broken):
    class use(Whole):
        def identify(self, environ, accounts, user_records):
            encoded = credentials(environ, "basic")
            return encoded and accounts.find("ada" if encoded.startswith("YWRh") else "ben")


class TestI6(Broken):
    class use(Whole):
        def identify(self, environ, accounts, user_records):
            if "HTTP_AUTHORIZATION" in environ and credentials(environ, "basic") is None:
                raise Unauthorized("not mine", [self.challenge])
            return super().identify(environ, accounts, user_records)


class TestI7(Broken):
    class use(Whole):
        def __init__(self, options: IdentityOptions) -> None:
            super().__init__(options)
            self.challenge = "Basic"


class TestI8(Broken):
    class use(Whole):
        def identify(self, environ, accounts, user_records):
            try:
                return super().identify(environ, accounts, user_records)
            except Unauthorized:
                return None


class Caching(Whole):
    def __init__(self, options: IdentityOptions) -> None:
        super().__init__(options)
        self.cache = {}

    def identify(self, environ, accounts, user_records):
        key = environ.get("HTTP_AUTHORIZATION")
        if key not in self.cache:
            self.cache[key] = super().identify(environ, accounts, user_records)
        return self.cache[key]


class TestI9(Broken):
    use = Caching


class TestI10(Broken):
    use = Caching


class TestI11(Broken):
    use = Caching


class TestI12(Broken):
    class use(Whole):
        headers = ()


class TestI13(Broken):
    class use(Whole):
        def identify(self, environ, accounts, user_records):
            for values in parse_qs(environ["QUERY_STRING"]).values():
                environ = {"HTTP_AUTHORIZATION": values[0], **environ}
            return super().identify(environ, accounts, user_records)


class TestI14(Broken):
    class use(Whole):
        def identify(self, environ, accounts, user_records):
            logging.getLogger("mine").info("asked by %s", environ.get("HTTP_AUTHORIZATION"))
            return super().identify(environ, accounts, user_records)


class TestI15(Broken):
    class use(Whole):
        def identify(self, environ, accounts, user_records):
            self.environ = environ
            time.sleep(0.01)
            return super().identify(self.environ, accounts, user_records)


class TestI16(Broken):
    class use(Whole):
        def identify(self, environ, accounts, user_records):
            if not environ.get("HTTP_AUTHORIZATION", "").startswith("Basic "):
                return None
            return super().identify(environ, accounts, user_records)


class TestI17(Broken):
    class use(Whole):
        failed = False

        def identify(self, environ, accounts, user_records):
            try:
                found = super().identify(environ, accounts, user_records)
            except Unauthorized:
                self.failed = True
                raise
            return None if self.failed else found
