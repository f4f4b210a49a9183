"""A to-do list, as in the tutorial of Bottle: what is stored, and a callback for each URL."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from framework import (
    abort,
    default_app,
    error,
    get,
    hook,
    post,
    redirect,
    request,
    response,
    route,
    run,
    static_file,
    template,
)

from kit import Meta

STATIC = Path(__file__).parent / "static"
LONGEST = 100  # characters of a task
LARGEST = 2**63 - 1  # of the numbers that a database has
STATUS = {"open": 1, "closed": 0}

app = default_app()
app.router.add_filter("number", lambda config: ("[0-9]+", int, str))


@dataclass
class Task:
    """Something to do; it is open (1) or closed (0)."""

    task: Annotated[str, Meta(max_length=LONGEST)]
    status: int = 1
    id: int | None = None


app.records(Task)


@hook("start")
def first_tasks(store):
    """Begin with some tasks where there are none."""
    if not store.count(Task):
        store.add(Task("Read the Python tutorial to get a good introduction into Python", 0))
        store.add(Task("Visit the Python website"))
        store.add(Task("Test various editors for and check the syntax highlighting"))
        store.add(Task("Choose your favorite WSGI-Framework", 0))


def found(store, number):
    """Return the task with this number, or None."""
    return store.first(Task, id=number) if number <= LARGEST else None


def fault(text):
    """Say what is wrong with the text of a task; nothing if it is good."""
    if not text:
        return "Please say what there is to do."
    if len(text) > LONGEST:
        return f"That is too long for a task: it has {len(text)} characters, of {LONGEST} at most."
    return ""


@route("/")
def index():
    redirect("/todo")


@route("/todo")
def todo_list(store):
    show = request.query.show or "open"
    if show == "all":
        tasks = store.find(Task, order_by="id")
    elif show in STATUS:
        tasks = store.find(Task, status=STATUS[show], order_by="id")
    else:
        response.status = 400
        message = "Wrong query parameter: show must be either open, closed or all."
        return template("message", message=message)
    return template("show_tasks", tasks=tasks, show=show)


@get("/new")
def new_form(csrf_field):
    return template("new_task", csrf_field=csrf_field, task="", fault="")


@post("/new")
def new_task(store, csrf_field):
    text = request.forms.task.strip()
    if wrong := fault(text):
        response.status = 400
        return template("new_task", csrf_field=csrf_field, task=text, fault=wrong)
    task = store.add(Task(text))
    message = f"The new task was inserted into the database, the ID is {task.id}"
    return template("message", message=message)


@get("/edit/<number:number>")
def edit_form(number, store, csrf_field):
    task = found(store, number) or abort(404)
    return template("edit_task", csrf_field=csrf_field, task=task, fault="")


@post("/edit/<number:number>")
def edit_task(number, store, csrf_field):
    task = found(store, number) or abort(404)
    task.task = request.forms.task.strip()
    task.status = STATUS.get(request.forms.status, 0)
    if wrong := fault(task.task):
        response.status = 400
        return template("edit_task", csrf_field=csrf_field, task=task, fault=wrong)
    store.save(task)
    return template("message", message=f"The task number {number} was successfully updated")


@route("/details/<number:number>")
def show_task(number, store):
    task = found(store, number)
    if task is None:
        return template("message", message=f"The task number {number} does not exist!")
    return template("message", message=f"Task: {task.task}, status: {task.status}")


@route("/as_json/<number:number>")
def show_json(number, store):
    task = found(store, number)
    if task is None:
        return {"task": f"The task number {number} does not exist!"}
    return {"id": task.id, "task": task.task, "status": task.status}


@route("/static/<filepath:path>")
def send_static_file(filepath):
    return static_file(filepath, root=STATIC)


@error(404)
def not_found(error):
    return template("message", message="Sorry, this page does not exist!")


@error(400)
@error(403)
@error(405)
@error(422)
def refused(error):
    return template("message", message=error.body)


if __name__ == "__main__":
    run(host="127.0.0.1", port=8080)
