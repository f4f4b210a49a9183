"""A visit to the blog, printed as a JSON list of pages: run in a copy of the recipe."""

from __future__ import annotations

import json

from flaskr import app

from kit.testing import client, emptied

ADA = {"username": 'Ada <b> "L"', "password": "x"}
POST = {"title": '<i>Notes & "more"</i> \'', "body": "\none\n\n <two>"}
FORMS = ["/auth/register", "/auth/login"]

visitor = client(emptied(app))
pages = [visitor.get(path) for path in ["/", *FORMS, "/nope"]]
pages += [visitor.post(path, data={"username": "", "password": ""}) for path in FORMS]
pages += [visitor.post(path, data={}) for path in FORMS]
visitor.post("/auth/register", data=ADA)
pages += [visitor.post("/auth/register", data=ADA)]
visitor.post("/auth/login", data=ADA)
pages += [visitor.get(path) for path in ["/", "/create", "/nope"]]
pages += [visitor.post("/create", data={**POST, "title": ""})]
visitor.post("/create", data=POST)
visitor.post("/create", data={"title": "empty", "body": ""})
pages += [visitor.get(path) for path in ["/", "/1/update", "/7/update", "/1/delete"]]
pages += [visitor.post("/1/update", data={**POST, "title": ""})]
print(json.dumps([page.text for page in pages]))
