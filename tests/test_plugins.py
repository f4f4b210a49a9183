"""Plug-ins: hooks, their order, entry points that are imported only when chosen, and new slots."""

from __future__ import annotations

import inspect
import re
import sys
import typing
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from werkzeug.test import Client

import kit
from kit import App, ConfigError, hookimpl, hookspecs, provider
from kit.plugins import Plugins, installed, load_object, plugin_of

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("kit_")}


def documented() -> list[str]:
    """The headings of hooks.md and of what it includes, such as ``kit_start(app)``."""
    text = (REFERENCE / "hooks.md").read_text("utf-8")
    for included in re.findall(r"```\{include\} (\S+)", text):
        text += (REFERENCE / included).read_text("utf-8")
    return re.findall(r"^### `(\w+\([^`]*\))`$", text, re.MULTILINE)


def test_every_hook_is_documented_with_its_exact_arguments():
    signatures = [f"{n}({', '.join(inspect.signature(h).parameters)})" for n, h in HOOKS.items()]
    assert sorted(documented()) == sorted(signatures)


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_typed_and_says_what_it_is_for(name, monkeypatch):
    names = {"App": kit.App, "Slot": kit.Slot, "Component": kit.Component, "click": click}
    for one, value in names.items():
        monkeypatch.setattr(hookspecs, one, value, raising=False)
    hook = HOOKS[name]
    assert set(typing.get_type_hints(hook)) == {*inspect.signature(hook).parameters, "return"}
    assert (hook.__doc__ or "").splitlines()[0].endswith(".")


@pytest.mark.parametrize(
    ("wrong", "hint"), [("kit_sart", " Did you mean 'kit_start'?"), ("kit_xyzzy", "")]
)
def test_a_misspelt_hook_is_an_error_with_the_nearest(wrong, hint):
    plugin = plugin_of(**{wrong: lambda app: None})
    with pytest.raises(ConfigError) as error:
        Plugins([("shop", plugin)])
    assert str(error.value) == (
        f"plug-in 'shop': implements {wrong!r}, which is no hook.{hint}\n"
        f"    Hooks are: {', '.join(sorted(HOOKS))}."
    )


def test_a_hook_with_an_argument_that_it_does_not_have_is_an_error():
    with pytest.raises(ConfigError) as error:
        Plugins([("shop", plugin_of(kit_start=lambda ap: None))])
    assert str(error.value) == (
        "plug-in 'shop': kit_start takes 'ap', which is no argument of that hook."
        " Did you mean 'app'?\n    Arguments are: app."
    )


def named(*names: str, **more: dict[str, tuple[str, ...]]) -> list[str]:
    """The order in which plug-ins of these names are called."""
    plugins, no_slots = {}, ()
    for name in names:
        plugins[name] = plugin_of(kit_slots=lambda: no_slots)
        vars(plugins[name]).update(more.get(name, {}))
    return [plugin for plugin, _ in Plugins(plugins.items()).each("kit_slots")]


def test_plugins_are_called_by_name_whatever_the_order_of_registration():
    assert named("b", "c", "a") == ["a", "b", "c"]


def test_a_plugin_may_come_before_others():
    assert named("a", "b", "c", c={"kit_before": ("a",)}) == ["b", "c", "a"]


def test_a_plugin_may_come_after_others():
    assert named("a", "b", "c", a={"kit_after": ("c",)}) == ["b", "c", "a"]


def test_before_and_after_name_plugins_that_need_not_be_there():
    assert named("a", "b", a={"kit_after": ("zebra",)}, b={"kit_before": ("yak",)}) == ["a", "b"]


def test_a_circle_of_before_and_after_is_an_error():
    with pytest.raises(ConfigError) as error:
        named("a", "b", "c", a={"kit_after": ("b",)}, b={"kit_after": ("a",)})
    assert str(error.value) == (
        "plug-ins a, b want to come before and after each other.\n"
        "    Take one of their `kit_before` or `kit_after` names away."
    )


@pytest.mark.parametrize("name", ["kit.shop", "kit.slots.mail"])
def test_a_plugin_with_a_name_like_the_kernels_is_refused(name):
    with pytest.raises(ConfigError) as error:
        App(plugins={name: plugin_of(kit_start=lambda app: None)})
    assert str(error.value) == (
        f"plug-in {name!r}: names that begin with 'kit.' are for the plug-ins of the kernel.\n"
        "    Give it another name."
    )


def test_what_all_plugins_contribute_is_called_in_order():
    calls: list[str] = []
    plugins = {
        name: plugin_of(kit_start=lambda app, name=name: calls.append(name)) for name in ("b", "a")
    }
    App(plugins=plugins).start()
    assert calls == ["a", "b"]


def test_start_and_stop_are_told_once_each():
    calls: list[object] = []
    plugin = plugin_of(
        kit_start=lambda app: calls.append(("start", app)),
        kit_stop=lambda: calls.append("stop"),
    )
    app = App(plugins={"p": plugin})
    app.start().start()
    app.stop()
    app.stop()
    assert calls == [("start", app), "stop"]


def test_an_exception_in_a_start_hook_stops_the_start():
    def fail(app: App) -> None:
        raise RuntimeError("no")

    app = App(plugins={"p": plugin_of(kit_start=fail)})
    with pytest.raises(RuntimeError, match="no"):
        app.start()


def test_plug_ins_of_an_application_come_after_the_kernels_and_find_the_tables_there(tmp_path):
    @dataclass
    class Note:
        text: str
        id: int | None = None

    def fill(app):
        app.call(lambda store: store.add(Note("first")))

    url = f"sqlite:///{tmp_path}/test.db"
    app = App(
        {"persistence": {"use": "sqlalchemy", "url": url}},
        plugins={"a": plugin_of(kit_start=fill)},
    )
    app.records(Note)
    app.start()
    assert app.call(lambda store: store.count(Note)) == 1
    app.stop()


def test_a_start_hook_may_use_the_application():
    seen = []
    start = plugin_of(kit_start=lambda app: seen.append(app.call(lambda app: app.debug)))
    app = App(plugins={"p": start})
    for _ in range(2):
        app.start()
        app.stop()
    assert seen == [False, False]


def test_providers_of_plugins_reach_handlers():
    @provider
    def colour() -> str:
        return "red"

    app = App(plugins={"p": plugin_of(kit_providers=lambda: [colour])})
    app.get("/")(lambda colour: colour)
    assert Client(app).get("/").text == "red"


def test_template_globals_and_filters_of_plugins_reach_templates(tmp_path):
    plugin = plugin_of(
        kit_template_globals=lambda app: {"site": "<Here>"},
        kit_template_filters=lambda app: {"shout": str.upper},
    )
    config = {"templating": {"use": "jinja2", "folder": str(tmp_path)}}
    (tmp_path / "x.html").write_text("{{ site|shout }}")
    app = App(config, plugins={"p": plugin})
    assert app.call(lambda render: render("x.html")) == "&lt;HERE&gt;"


class Watching:
    """A plug-in that writes down what the request hooks tell it."""

    def __init__(self) -> None:
        self.told: list[object] = []

    @hookimpl
    def kit_request_started(self, environ: dict[str, object]) -> None:
        self.told.append(environ["PATH_INFO"])

    @hookimpl
    def kit_request_finished(self, environ: dict[str, object], status: int) -> None:
        self.told.append((environ["PATH_INFO"], status))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            {"url_for": len},
            {},
            "the kernel and plug-in 'a' both give the template global 'url_for'.",
        ),
        (
            {"now": 1},
            {"now": 2},
            "plug-in 'a' and plug-in 'b' both give the template global 'now'.",
        ),
    ],
)
def test_a_template_global_that_two_give_is_an_error(first, second, message):
    plugins = {
        "a": plugin_of(kit_template_globals=lambda: first),
        "b": plugin_of(kit_template_globals=lambda: second),
    }
    with pytest.raises(ConfigError) as error:
        App(plugins=plugins).check()
    assert str(error.value) == f"{message}\n    Rename one of them."


def test_request_hooks_are_told_of_every_request_and_its_status():
    watching = Watching()
    app = App(plugins={"p": watching})
    app.get("/")(lambda: "x")
    client = Client(app)
    client.get("/")
    client.get("/nowhere")
    client.post("/")
    assert watching.told == ["/", ("/", 200), "/nowhere", ("/nowhere", 404), "/", ("/", 405)]


def test_a_request_hook_that_fails_ends_in_a_clean_500():
    def refuse(environ: dict[str, object]) -> None:
        raise RuntimeError("hunter2")

    app = App(plugins={"p": plugin_of(kit_request_started=refuse)})
    app.get("/")(lambda: "x")
    answer = Client(app).get("/")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text


def test_a_finishing_hook_that_fails_does_not_take_the_answer_away(caplog):
    def refuse(status: int) -> None:
        raise RuntimeError("no")

    app = App(plugins={"p": plugin_of(kit_request_finished=refuse)})
    app.get("/")(lambda: "x")
    assert Client(app).get("/").text == "x"
    assert "kit_request_finished" in caplog.text


def test_without_request_hooks_nothing_is_called_for_them():
    quiet, watched = App(), App(plugins={"p": Watching()})
    assert quiet._wiring.gateway().events is None
    assert watched._wiring.gateway().events is not None


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Install a fake distribution with one entry point and one module."""

    def install(name: str, entry: str, code: str) -> None:
        folder = tmp_path / name
        info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        monkeypatch.syspath_prepend(folder)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        module = name.replace("-", "_")
        (info / "entry_points.txt").write_text(f"[kit]\n{entry} = {module}\n")
        (folder / f"{module}.py").write_text(code)
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


def test_installed_plugins_that_are_not_chosen_are_not_imported(distribution):
    for n in range(30):
        entry = f"templating.fake{n}" if n % 2 else f"fake{n}"
        distribution(f"fake-{n}", entry, "raise SystemExit('imported')\n")
    assert {f"fake{n}" for n in range(0, 30, 2)} <= set(installed())
    App({"templating": {"use": "jinja2", "folder": "."}}).start()
    assert [name for name in sys.modules if name.startswith("fake_")] == []


def test_an_installed_plugin_is_imported_when_it_is_listed(distribution):
    code = "from kit import hookimpl\n@hookimpl\ndef kit_start(app):\n    app.seen = True\n"
    distribution("fake-one", "one", code)
    distribution("fake-two", "two", "raise SystemExit('imported')\n")
    app = App({"app": {"plugins": ["one"]}})
    app.start()
    assert app.seen  # type: ignore[attr-defined]
    assert "fake_two" not in sys.modules


def test_an_installed_component_is_imported_when_it_is_used(distribution, tmp_path):
    distribution(
        "fake-engine",
        "templating.plain",
        "from kit import Component, hookimpl\n"
        "class Plain:\n"
        "    def render(self, name, values, block=None): return name\n"
        "    def render_string(self, source, values): return source\n"
        "@hookimpl\n"
        "def kit_components():\n"
        "    return [Component(slot='templating', name='plain', factory='fake_engine:Plain')]\n",
    )
    app = App({"templating": {"use": "plain", "folder": str(tmp_path)}})
    assert app.call(lambda render: render("x")) == "x"


def test_a_plugin_that_fails_on_import_is_named_with_its_distribution(distribution):
    distribution("fake-broken", "templating.broken", "raise RuntimeError('half-written')\n")
    with pytest.raises(ConfigError) as error:
        App({"templating": {"use": "broken"}})
    assert str(error.value) == (
        "config: plug-in 'templating.broken' of fake-broken 1.2 cannot be imported from"
        " 'fake_broken': RuntimeError: half-written\n"
        "    Reinstall or repair that distribution, or choose another component."
    )
    assert isinstance(error.value.__cause__, RuntimeError)


def test_one_failing_plugin_does_not_hide_another(distribution):
    distribution("fake-broken", "broken", "1 / 0\n")
    distribution("fake-worse", "worse", "raise RuntimeError\n")
    with pytest.raises(ConfigError) as error:
        App({"app": {"plugins": ["broken", "worse"]}})
    assert ["fake-broken 1.2" in str(error.value), "fake-worse 1.2" in str(error.value)] == [
        True,
        True,
    ]


def test_a_component_that_its_plugin_does_not_declare_is_an_error(distribution):
    distribution("fake-empty", "templating.empty", "")
    with pytest.raises(ConfigError) as error:
        App({"templating": {"use": "empty"}})
    assert str(error.value) == (
        "config: [templating] use = 'empty': its plug-in 'fake_empty' gives no such component.\n"
        '    Allowed: empty, jinja2, mako, or "module:name" from the application.'
    )


def test_two_distributions_with_one_name_are_both_named(distribution):
    distribution("fake-a", "templating.same", "")
    distribution("fake-b", "templating.same", "")
    with pytest.raises(ConfigError) as error:
        App()
    assert str(error.value) == (
        "two distributions give 'templating.same': fake-b 1.2 and fake-a 1.2.\n"
        "    Uninstall one of them."
    )


GREETING = '''
from dataclasses import dataclass
from typing import Protocol

from kit import Component, Slot, hookimpl, provider
from kit.contracts import Contract, clause


class Greeter(Protocol):
    def greet(self, name: str) -> str:
        """Return a greeting."""


@dataclass(frozen=True, kw_only=True)
class GreetingOptions:
    mark: str = "!"


@dataclass(frozen=True, kw_only=True)
class LoudOptions(GreetingOptions):
    times: int = 1


class Polite:
    def __init__(self, options: GreetingOptions) -> None:
        self.options = options

    def greet(self, name: str) -> str:
        return f"Good day, {name}{self.options.mark}"


class Loud:
    closed = False

    def __init__(self, options: LoudOptions) -> None:
        self.options = options

    def greet(self, name: str) -> str:
        return f"HEY {name.upper()}" + self.options.mark * self.options.times

    def close(self) -> None:
        self.closed = True


@provider
def greet(greeting: Greeter):
    return greeting.greet


class GreetingContract(Contract):
    @clause("G1")
    def test_name(self, component):
        """A greeting holds the name."""
        assert "ada" in component.greet("ada").lower()


@hookimpl
def kit_slots():
    return [
        Slot(
            name="greeting",
            protocol=Greeter,
            options=GreetingOptions,
            providers=(greet,),
            contract="greeting_plugin:GreetingContract",
        )
    ]


@hookimpl
def kit_components():
    return [
        Component(slot="greeting", name="polite", factory=Polite),
        Component(slot="greeting", name="loud", factory="greeting_plugin:Loud"),
    ]
'''


@pytest.fixture
def greeting(tmp_path, monkeypatch):
    """An application on a fifth slot, which a plain module declares."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "greeting_plugin", raising=False)
    Path("greeting_plugin.py").write_text(GREETING)

    def make(rest: str) -> App:
        Path("kit.toml").write_text(f'[app]\nplugins = ["greeting_plugin"]\n{rest}')
        app = App("kit.toml")
        app.get("/<name>")(lambda name, greet: greet(name))
        return app

    return make


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ('[greeting]\nuse = "polite"\n', "Good day, Ada!"),
        ('[greeting]\nuse = "loud"\n', "HEY ADA!"),
        ('[greeting]\nuse = "polite"\nmark = "."\n', "Good day, Ada."),
        ('[greeting]\nuse = "loud"\n[greeting.loud]\ntimes = 3\n', "HEY ADA!!!"),
    ],
)
def test_a_plugin_adds_a_slot_whose_component_the_config_picks(greeting, rest, text):
    assert Client(greeting(rest)).get("/Ada").text == text


def test_a_component_of_a_new_slot_is_picked_by_the_environment(greeting, monkeypatch):
    monkeypatch.setenv("KIT_GREETING__USE", "loud")
    assert Client(greeting('[greeting]\nuse = "polite"\n')).get("/Ada").text == "HEY ADA!"


def test_a_new_slot_is_checked_like_the_shipped_ones(greeting):
    with pytest.raises(ConfigError) as error:
        greeting('[greeting]\nuse = "loud"\nmrak = "?"\n[greeting.loud]\ntimes = "x"\n')
    assert [str(problem) for problem in error.value.problems] == [
        "kit.toml:5: [greeting] mrak: unknown key. Did you mean 'mark'?\n    Allowed: mark, use.",
        "kit.toml:7: [greeting.loud] times = 'x': text found, not a whole number\n"
        "    Allowed: a whole number.",
    ]


def test_an_empty_new_slot_says_how_to_fill_it(greeting):
    with pytest.raises(ConfigError) as error:
        greeting("").check()
    assert (
        "nothing provides 'greet'. It comes with the slot 'greeting', which is empty:"
        ' fill it with [greeting] use = "loud" (or another of: polite).'
    ) in str(error.value)


def test_the_component_of_a_new_slot_is_closed_at_the_end(greeting):
    app = greeting('[greeting]\nuse = "loud"\n').start()
    component = app.provided("greeting")
    assert not component.closed
    app.stop()
    assert component.closed


def test_the_contract_of_a_new_slot_is_found_and_runs(greeting):
    app = greeting('[greeting]\nuse = "loud"\n')
    contract = load_object(app.stack.slots["greeting"].contract)
    contract().test_name(app.start().provided("greeting"))
    assert contract.test_name.__kit_clause__ == "G1"


@pytest.mark.parametrize("slot", ["routing", "templating", "persistence", "sessions"])
def test_the_shipped_slots_are_declared_by_the_hook_that_plugins_use(slot):
    module = load_object(f"kit.slots.{slot}")
    assert module.kit_slots.kit_impl
    assert [one.name for one in module.kit_slots()] == [slot]
    assert App().stack.slots[slot] is module.slot
    assert load_object(module.slot.contract).__name__ == f"{slot.capitalize()}Contract"
