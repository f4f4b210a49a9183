"""A visit to the address book, printed as a JSON list of pages: run in a copy of the recipe."""

from __future__ import annotations

import json

from address_book import app

from kit.testing import client, emptied

ADA = {"first_name": "Ada <b>", "last_name": 'Love"lace', "notes": "a\n\nb", "email": "a@b.example"}
SIGNUP = {"name": "G", "email": "g@example.org", "password": "a quiet harbour at dusk"}
STRANGER = ["/", "/signup", "/login", "/forgotten", "/reset/x", "/nope"]
ONE = ["/contacts/1", "/contacts/1/edit", "/contacts/1/delete"]
LISTS = [f"/contacts{query}" for query in ("", "?q=b&page=2", "?q=nobody", "?page=0")]
OTHERS = ["/contacts/new", "/import", "/account", "/contacts/999"]
FILE = b"""--x\r
Content-Disposition: form-data; name=file; filename=x\r
\r
first_name,email
A,<>
\r
--x--"""

visitor = client(emptied(app))
pages = [visitor.get(path) for path in STRANGER]
pages += [visitor.post(path, data={"email": "x"}) for path in ("/signup", "/login", "/forgotten")]
visitor.post("/signup", data=SIGNUP)
pages += [visitor.get("/contacts"), visitor.get("/contacts")]
visitor.post("/contacts", data=ADA)
pages += [visitor.get(path) for path in ONE]
visitor.post("/contacts/1/favourite")
pages += [visitor.get("/contacts/1"), visitor.post("/contacts/1", data={**ADA, "first_name": ""})]
pages += [visitor.post("/contacts", data={**ADA, "birthday": "x", "group": "x", "favourite": "x"})]
for number in range(25):
    visitor.post("/contacts", data={"first_name": f"B {number}", "company": "&"})
pages += [visitor.get(path) for path in LISTS + OTHERS]
sent = {"data": FILE, "content_type": "multipart/form-data; boundary=x"}
pages += [visitor.post("/import", **sent), visitor.post("/import", data={})]
print(json.dumps([page.text for page in pages]))
