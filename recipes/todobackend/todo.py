"""The Todo-Backend API: a list of things to do, for pages of any site.

From top to bottom: what is stored, what clients see of it, and the handlers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from framework import API

from kit import Body, Meta, Patch

app = API(Path(__file__).with_name("kit.toml"))


@dataclass
class Todo:
    """Something to do."""

    title: Annotated[str, Meta(min_length=1)]
    completed: bool = False
    order: int | None = None
    id: int | None = None


app.records(Todo)


@app.provider
def shown(link):
    """What shows a todo: all that is stored, and where to find it."""
    return lambda todo: {**vars(todo), "url": link("todo", id=todo.id)}


@app.get("/todos")
def todos(store, shown):
    return [shown(todo) for todo in store.find(Todo)]


@app.post("/todos")
def add(store, shown, body: Body[Todo]):
    return shown(store.add(body.value)), 201


@app.delete("/todos")
def clear(store):
    for todo in store.find(Todo, lock=True):
        store.delete(todo)


@app.get("/todos/<int:id>", name="todo")
def one(id, store, shown):
    return shown(store.get(Todo, id))


@app.patch("/todos/<int:id>")
def change(id, store, shown, patch: Patch[Todo]):
    todo = store.get(Todo, id, lock=True)
    patch.update(todo)
    store.save(todo)
    return shown(todo)


@app.delete("/todos/<int:id>")
def remove(id, store):
    store.delete(Todo, id)
