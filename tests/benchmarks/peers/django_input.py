"""Django: a form class, which is given JSON too, its own templates, and ``JsonResponse``."""

from __future__ import annotations

import json

import django
from client import App
from django import forms
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from peers.input_task import BOOK, CARD, GROUPS
from peers.task import TEMPLATES


class _ContactForm(forms.Form):
    first_name = forms.CharField(max_length=100)
    last_name = forms.CharField(max_length=100)
    email = forms.EmailField(label="E-mail", max_length=254)
    phone = forms.CharField(max_length=40)
    group = forms.ChoiceField(choices=[(group, group) for group in GROUPS])
    birthday = forms.DateField()
    rank = forms.IntegerField(min_value=1, max_value=100)
    discount = forms.DecimalField(min_value=0, max_value=100, max_digits=5, decimal_places=2)
    notes = forms.CharField(max_length=5000, widget=forms.Textarea)
    favourite = forms.BooleanField(required=False)


class _Contact:
    def __init__(self, **values: object) -> None:
        vars(self).update(values)


def _edit(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        form = _ContactForm(request.POST)
        if form.is_valid():
            BOOK.append(_Contact(**form.cleaned_data))
            return redirect("/contacts")
    else:
        form = _ContactForm()
    return render(request, "edit_django.html", {"form": form})


@csrf_exempt
def _add_data(request: HttpRequest) -> HttpResponse:
    form = _ContactForm(json.loads(request.body))
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=422)
    BOOK.append(_Contact(**form.cleaned_data))
    return JsonResponse({"rank": form.cleaned_data["rank"]})


def _card(request: HttpRequest) -> HttpResponse:
    return JsonResponse(vars(CARD))


urlpatterns = [
    path("contacts/new", _edit),
    path("contacts", _edit),
    path("api/contacts", _add_data),
    path("api/card", _card),
]


def make() -> App:
    """Return the application, with the middleware of ``startproject`` that needs no database."""
    settings.configure(
        SECRET_KEY="benchmark" * 6,
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [str(TEMPLATES)],
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
            }
        ],
    )
    django.setup()
    app: App = get_wsgi_application()
    return app
