"""Flaskr: the blog of Flask's tutorial."""

from __future__ import annotations

from framework import Flask, g, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException

from flaskr import auth, blog, db


def create_app():
    app = Flask(__name__)

    @app.route("/hello")
    def hello():
        return "Hello, World!"

    @app.errorhandler(HTTPException)
    def error_page(error):
        is_form_of_nobody = error.code == 403 and g.user is None
        if is_form_of_nobody and not request.path.startswith(auth.bp.prefix):
            return redirect(url_for("auth.login"))  # their session has ended, and its token with it
        return render_template("error.html", error=error), error.code

    db.init_app(app)
    app.register_blueprint(auth.bp)
    app.register_blueprint(blog.bp)
    return app


app = create_app()
