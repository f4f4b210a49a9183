"""Django, with the middleware that ``startproject`` lists as far as it needs no database."""

from __future__ import annotations

import django
from client import App
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from peers.task import CONTACTS, FIELDS, HELLO, TEMPLATES, TITLE


def _plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse(HELLO, content_type="text/plain")


def _data(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"message": HELLO})


def _item(request: HttpRequest, id: int) -> HttpResponse:
    return HttpResponse(str(id), content_type="text/plain")


def _contacts(request: HttpRequest) -> HttpResponse:
    return render(request, "contacts.html", {"title": TITLE, "contacts": CONTACTS})


@csrf_exempt
def _form(request: HttpRequest) -> HttpResponse:
    return JsonResponse({name: request.POST[name] for name in FIELDS})


def _count(request: HttpRequest) -> HttpResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(str(request.session["count"]), content_type="text/plain")


urlpatterns = [
    path("", _plain),
    path("json", _data),
    path("item/<int:id>", _item),
    path("contacts", _contacts),
    path("form", _form),
    path("count", _count),
]


def make() -> tuple[App, App]:
    """Return the application twice: sessions are part of it."""
    settings.configure(
        SECRET_KEY="benchmark" * 6,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        TEMPLATES=[{"BACKEND": "django.template.backends.jinja2.Jinja2", "DIRS": [str(TEMPLATES)]}],
    )
    django.setup()
    app = get_wsgi_application()
    return app, app
