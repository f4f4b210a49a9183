"""The Todo-Backend API on Flask and SQLAlchemy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask
from client import App
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker

from peers.recipe_data import TODOS


class Base(DeclarativeBase):
    """What records have in common."""


class Todo(Base):
    """Something to do."""

    __tablename__ = "todo"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    completed: Mapped[bool] = mapped_column(default=False)
    order: Mapped[int | None]

    def to_dict(self) -> dict[str, Any]:
        """Return what a client sees."""
        return {
            "id": self.id,
            "title": self.title,
            "completed": self.completed,
            "order": self.order,
            "url": flask.url_for("todo", id=self.id, _external=True),
        }


def make(folder: Path) -> App:
    """Return the application."""
    engine = create_engine(f"sqlite:///{folder}/peer.db")
    session = scoped_session(sessionmaker(engine))
    Base.metadata.create_all(engine)
    session.add_all([Todo(title=t, completed=c, order=o) for t, c, o in TODOS])
    session.commit()
    app = flask.Flask(__name__)

    @app.teardown_appcontext
    def close(error: BaseException | None) -> None:
        session.remove()

    @app.after_request
    def allow(response: flask.Response) -> flask.Response:
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    @app.get("/todos")
    def todos() -> list[dict[str, Any]]:
        return [todo.to_dict() for todo in session.scalars(select(Todo).order_by(Todo.id))]

    @app.get("/todos/<int:id>")
    def todo(id: int) -> dict[str, Any]:
        return session.get_one(Todo, id).to_dict()

    return app
