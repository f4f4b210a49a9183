"""Accounts: sign up, log in and out, a new password for one that was forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from address_book.records import EMAIL
from kit import Conflict, Form, Meta, Routes, Widget, provider, redirect
from kit.responses import safe_next
from kit.security.csrf import csrf_field, csrf_token
from kit.slots.identity import logged_in
from kit.slots.rates import rate

Email = Annotated[
    str,
    Meta(max_length=254, pattern=EMAIL, title="E-mail"),
    Widget("email", autocomplete="username"),
]
Password = Annotated[
    str, Meta(max_length=1024), Widget("password", autocomplete="current-password")
]
NewPassword = Annotated[
    str,
    Meta(max_length=1024, description="Eight characters or more: a few words are fine."),
    Widget("password", autocomplete="new-password"),
]

RESET_MAIL = """\
Hello {name},

somebody, hopefully you, has forgotten the password of your address book. Choose a new one here:

{link}

The link is good for an hour, and for one new password. If it was not you, do nothing.
"""

UNKNOWN_MAIL = """\
Hello,

somebody, hopefully you, wants a new password for the address book of {address}. There is no account
with this address: perhaps you signed up with another one. If it was not you, do nothing.
"""

routes = Routes()


@dataclass
class SignUp:
    name: Annotated[str, Meta(min_length=1, max_length=100), Widget("text", autocomplete="name")]
    email: Email
    password: NewPassword


@dataclass
class LogIn:
    email: Email
    password: Password
    remember: Annotated[bool, Meta(title="Keep me logged in")] = False


@dataclass
class Forgotten:
    email: Email


@dataclass
class NewChoice:
    password: Annotated[NewPassword, Meta(title="New password")]


@dataclass
class PasswordChange:
    current: Annotated[Password, Meta(title="Current password")]
    password: Annotated[NewPassword, Meta(title="New password")]


@provider
def outside(session):
    """What pages for strangers show around their own."""
    return {"user": None, "messages": session.flashes, "csrf_field": str}


@provider
def inside(session, user):
    """What pages show around their own for who is logged in; data do without it."""
    return {
        "user": user,
        "messages": session.flashes,
        "csrf_field": lambda: csrf_field(csrf_token(session)),
    }


@routes.get("/")
def home(user, render, outside):
    return redirect("/contacts") if user else render("home.html", **outside)


@routes.get("/signup")
def signup(form: Form[SignUp], render, outside):
    return render("signup.html", form=form, **outside)


@routes.post("/signup", again=signup, requires=rate("20 / hour", name="signup"))
def sign_up(form: Form[SignUp], accounts, session):
    new = form.value
    if reasons := accounts.refusals(new.password, new.email):
        form.refuse(password=" ".join(reasons))
    try:
        user = accounts.register(name=new.name, email=new.email, password=new.password)
    except Conflict:
        form.refuse(email="There is an account with this address: log in, or take another one.")
    accounts.login(user)
    session.flash(f"Welcome, {user.name}. This is your address book.")
    return redirect("/contacts")


@routes.get("/login")
def login(form: Form[LogIn], user, render, outside, request):
    there = safe_next(request.args.get("next"), "/contacts")
    return redirect(there) if user else render("login.html", form=form, **outside)


@routes.post("/login", again=login)
def log_in(form: Form[LogIn], accounts, request):
    given = form.value
    user = accounts.check(given.email, given.password)
    if user is None:
        form.refuse("E-mail or password is wrong.")
    accounts.login(user, remember=given.remember)
    return redirect(safe_next(request.args.get("next"), "/contacts"))


@routes.post("/logout")
def log_out(accounts, session):
    accounts.logout()
    session.flash("You are logged out.")
    return redirect("/login")


@routes.get("/forgotten")
def forgotten(form: Form[Forgotten], render, outside):
    return render("forgotten.html", form=form, **outside)


@routes.post("/forgotten", again=forgotten, requires=rate("10 / hour", name="forgotten"))
def send_link(form: Form[Forgotten], accounts, outbox, session, request, url_for):
    """Mail a link; the answer is the same whether there is an account or not."""
    if user := accounts.find(form.value.email):
        path = url_for("reset", token=accounts.reset_token(user))
        link = request.host_url.rstrip("/") + path
        text = RESET_MAIL.format(name=user.name, link=link)
    else:  # the same work and time, so that nobody learns who has an account
        text = UNKNOWN_MAIL.format(address=form.value.email)
    outbox.send(to=form.value.email, subject="A new password for your address book", text=text)
    session.flash("A mail is on its way to this address.")
    return redirect("/login")


@routes.get("/reset/<token>")
def reset(token, form: Form[NewChoice], render, outside):
    return render("reset.html", form=form, **outside)


@routes.post("/reset/<token>", again=reset)
def set_password(token, form: Form[NewChoice], accounts, session):
    password = form.value.password
    if reasons := accounts.refusals(password):
        form.refuse(password=" ".join(reasons))
    if accounts.reset(token, password) is None:
        form.refuse("This link was used already, or is too old. Please ask for another one.")
    session.flash("Your password is changed. Please log in with the new one.")
    return redirect("/login")


@routes.get("/account", requires=logged_in)
def account(form: Form[PasswordChange], render, inside):
    return render("account.html", form=form, **inside)


@routes.post("/account", again=account, requires=logged_in)
def change_password(form: Form[PasswordChange], accounts, user, session):
    if accounts.check(user.email, form.value.current) is None:
        form.refuse(current="This is not your current password.")
    if reasons := accounts.refusals(form.value.password, user.email):
        form.refuse(password=" ".join(reasons))
    accounts.change_password(user, form.value.password)
    session.flash("Your password is changed. Wherever else you were logged in, you are not now.")
    return redirect("/account")
