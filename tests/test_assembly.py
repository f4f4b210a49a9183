"""Assembly: what a config file picks, and everything that is said when it cannot be had."""

from __future__ import annotations

import sys
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Protocol

import pytest

from kit import App, Component, ConfigError, Slot, hookimpl
from kit.assembly import KERNEL_TABLES
from kit.plugins import plugin_of
from kit.slots import SHIPPED

NAMES = sorted([*KERNEL_TABLES, *(name.rpartition(".")[2] for name, _ in SHIPPED)])
TABLES = ", ".join(NAMES)


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """Check the application of a config file, and return its problems as texts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def problems(text: str, **plugins: object) -> list[str]:
        Path("kit.toml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as error:
            App("kit.toml", plugins=plugins).check()
        assert str(error.value) == "\n".join(map(str, error.value.problems))
        return [str(problem) for problem in error.value.problems]

    return problems


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of the application."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)

    return write


class Engine(Protocol):
    def run(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    level: int = 1

    def __post_init__(self) -> None:
        if self.level > 9:
            raise ValueError("level is at most 9")


class Runs:
    def __init__(self, options: EngineOptions) -> None:
        self.options = options

    def run(self) -> str:
        return f"level {self.options.level}"


class Raises:
    def __init__(self) -> None:
        raise RuntimeError("no fuel")


class Lame:
    pass


ENGINE = Slot(name="engine", protocol=Engine, options=EngineOptions)


def engines(*components: Component) -> object:
    """A plug-in with the slot ``engine`` and components for it."""
    return plugin_of(kit_slots=lambda: [ENGINE], kit_components=lambda: list(components))


def component(name: str, factory: object, **more: str) -> Component:
    return Component(slot="engine", name=name, factory=factory, **more)


def test_the_defaults_are_a_stack_with_a_router_and_what_needs_no_choice():
    stack = App().stack
    assert {name: f.component.name for name, f in stack.fillings.items()} == {
        "routing": "werkzeug",
        "formats.json": "json",
        "validation": "msgspec",
    }
    assert set(stack.slots) == {name.rpartition(".")[2] for name, _ in SHIPPED}
    assert stack.app.debug is False
    assert stack.limits.body == 2_500_000


def test_a_mapping_picks_components_like_a_file(tmp_path):
    app = App(
        {"routing": {"use": "ffroute"}, "templating": {"use": "mako", "folder": str(tmp_path)}}
    )
    fillings = app.stack.fillings
    assert (fillings["routing"].component.name, fillings["templating"].component.name) == (
        "ffroute",
        "mako",
    )


def test_an_unknown_table_is_shown_with_the_nearest(problems):
    assert problems('[templatng]\nuse = "jinja2"\n') == [
        "kit.toml:2: [templatng]: unknown table. Did you mean 'templating'?\n"
        f"    Allowed: {TABLES}."
    ]


def test_an_unknown_table_without_keys_is_not_overlooked(problems):
    assert problems("\n[sesions]\n") == [
        f"kit.toml:2: [sesions]: unknown table. Did you mean 'sessions'?\n    Allowed: {TABLES}."
    ]


def test_a_key_outside_of_tables_is_an_error(problems):
    assert problems("debug = true\n") == [
        "kit.toml:1: 'debug' stands outside of a table.\n    Put it below one of:"
        f" {', '.join(f'[{name}]' for name in NAMES)}."
    ]


@pytest.mark.parametrize(
    ("text", "found"), [('templating = "mako"', "text"), ("[[templating]]", "a list")]
)
def test_something_else_in_the_place_of_a_table_is_an_error(problems, text, found):
    assert problems(f"{text}\n") == [
        f"kit.toml:1: 'templating' is {found}, not a table.\n"
        "    Write a line [templating], and its keys below that."
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[app]\ndebugg = true\n",
            "kit.toml:2: [app] debugg: unknown key. Did you mean 'debug'?\n"
            "    Allowed: debug, import, plugins, secret_key, secret_key_fallbacks, threads.",
        ),
        (
            "[limits]\nbdy = 1\n",
            "kit.toml:2: [limits] bdy: unknown key. Did you mean 'body'?\n"
            "    Allowed: body, field, fields, files, message, part_headers, query.",
        ),
        (
            '[templating]\nuse = "mako"\nfoldr = "x"\nfolder = "."\n',
            "kit.toml:3: [templating] foldr: unknown key. Did you mean 'folder'?\n"
            "    Allowed: folder, reload, use.",
        ),
        (
            '[templating]\nuse = "jinja2"\nfolder = "."\n[templating.jinja2]\ntrim_block = true\n',
            "kit.toml:5: [templating.jinja2] trim_block: unknown key."
            " Did you mean 'trim_blocks'?\n"
            "    Allowed: extensions, folder, lstrip_blocks, reload, trim_blocks.",
        ),
        (
            '[templating]\nuse = "mako"\nfolder = "."\n[templating.jinja]\nfolder = "x"\n',
            "kit.toml:5: [templating] jinja: unknown component. Did you mean 'jinja2'?\n"
            "    Allowed: jinja2, mako.",
        ),
    ],
)
def test_an_unknown_key_is_shown_with_the_nearest(problems, text, problem):
    assert problems(text) == [problem]


def test_options_of_a_component_that_is_not_in_use_are_kept_aside(tmp_path):
    App(
        {
            "templating": {
                "use": "mako",
                "folder": str(tmp_path),
                "jinja2": {"folder": "x", "anything": 1},
            }
        }
    ).check()


@pytest.mark.parametrize(
    ("use", "wrong"),
    [
        ("'jinja'", "no component of that name. Did you mean 'jinja2'?"),
        ("'Jinja2'", "no component of that name. Did you mean 'jinja2'?"),
        ("'xyz'", "no component of that name."),
        ("''", "no component of that name."),
        ("3", "no component of that name."),
    ],
)
def test_an_unknown_component_is_shown_with_the_nearest(problems, use, wrong):
    assert problems(f"[templating]\nuse = {use}\n") == [
        f"kit.toml:2: [templating] use = {use}: {wrong}\n"
        '    Allowed: jinja2, mako, or "module:name" from the application.'
    ]


def test_a_component_of_another_slot_is_named_with_that_slot(problems):
    assert problems('[templating]\nuse = "sqlalchemy"\n') == [
        "kit.toml:2: [templating] use = 'sqlalchemy': it fills the slot 'persistence'.\n"
        '    Allowed: jinja2, mako, or "module:name" from the application.'
    ]


def test_options_without_a_component_ask_for_one(problems):
    assert problems('[persistence]\nurl = "sqlite:///x.db"\n') == [
        "kit.toml:2: [persistence] does not say which component to use.\n"
        '    Add: use = "..." with one of: peewee, peewee_async, sqlalchemy, sqlalchemy_async.'
    ]


def test_a_required_option_is_asked_for_in_its_table(problems):
    assert problems('[persistence]\nuse = "peewee"\n') == [
        "kit.toml:2: [persistence] lacks 'url'.\n"
        "    Add: url = ... with a database URL such as 'sqlite:///app.db'."
    ]


def test_a_wrong_type_is_shown_with_what_is_allowed(problems):
    assert problems('[limits]\nfields = "many"\n') == [
        "kit.toml:2: [limits] fields = 'many': text found, not a whole number\n"
        "    Allowed: a whole number."
    ]


def test_a_short_secret_key_is_refused_without_showing_it(problems):
    [problem] = problems('[app]\ndebug = true\nsecret_key = "hunter2"\n')
    assert problem == (
        "kit.toml:3: [app] is refused by AppOptions: secret_key is shorter than 32 characters;"
        ' make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
    )


def test_a_missing_secret_names_its_variable(problems, monkeypatch):
    monkeypatch.delenv("SECRET_KEY", raising=False)
    assert problems('[app]\nsecret_key = "env:SECRET_KEY"\n') == [
        "kit.toml:2: [app] secret_key: the environment variable SECRET_KEY is not set\n"
        "    Set SECRET_KEY."
    ]


def test_a_component_that_needs_a_secret_key_says_how_to_set_it(problems):
    [problem] = problems('[sessions]\nuse = "itsdangerous"\n')
    assert problem.startswith(
        "kit.toml:2: [sessions]: nothing provides 'secret_keys'. Set it:"
        ' [app] secret_key = "env:SECRET_KEY" (or "file:secret.key").'
    )


def test_a_missing_library_names_the_pip_line(problems, module):
    module("needs_turbo", "import turbo_that_nobody_has\n\nclass Turbo:\n    pass\n")
    turbo = component(
        "turbo", "needs_turbo:Turbo", library="turbo-that-nobody-has", install="framekit[turbo]"
    )
    assert problems('[engine]\nuse = "turbo"\n', own=engines(turbo)) == [
        "kit.toml:2: [engine] use = 'turbo':"
        " the library 'turbo-that-nobody-has' is not installed.\n"
        '    pip install "framekit[turbo]"'
    ]


def test_the_import_error_of_a_missing_library_is_chained(module):
    module("needs_turbo", "import turbo_that_nobody_has\n")
    turbo = component("turbo", "needs_turbo:Turbo", library="turbo-that-nobody-has")
    with pytest.raises(ConfigError) as error:
        App({"engine": {"use": "turbo"}}, plugins={"own": engines(turbo)})
    assert isinstance(error.value.__cause__, ModuleNotFoundError)
    assert error.value.__cause__.name == "turbo_that_nobody_has"


def test_an_adapter_that_fails_on_import_is_shown_with_its_error(problems, module):
    module("adapter_with_a_bug", "1 / 0\n")
    buggy = component("buggy", "adapter_with_a_bug:Buggy", library="pluggy", install="framekit")
    assert problems('[engine]\nuse = "buggy"\n', own=engines(buggy)) == [
        "kit.toml:2: [engine] use = 'buggy': cannot be imported:"
        ' ZeroDivisionError: division by zero\n    pip install "framekit"'
    ]


def test_two_plugins_with_one_component_are_both_named(problems):
    ours, theirs = component("x", Runs), component("x", Lame)
    more = plugin_of(kit_components=lambda: [theirs])
    assert problems('[engine]\nuse = "x"\n', a=engines(ours), b=more) == [
        "plug-ins 'a' and 'b' both give 'x' for slot 'engine'.\n    Take one of them out."
    ]


def test_two_plugins_with_one_slot_are_both_named(problems):
    assert problems("", a=engines(), b=engines()) == [
        "plug-ins 'a' and 'b' both declare slot 'engine'.\n    Take one of them out."
    ]


def test_options_that_the_class_rejects_are_shown_with_its_reason(problems):
    runs = component("x", Runs)
    assert problems('[engine]\nuse = "x"\nlevel = 11\n', own=engines(runs)) == [
        "kit.toml:3: [engine.x] is refused by EngineOptions: level is at most 9"
    ]


def test_a_factory_that_raises_is_shown_and_chained():
    with pytest.raises(ConfigError) as error:
        App({"engine": {"use": "x"}}, plugins={"own": engines(component("x", Raises))}).check()
    assert str(error.value) == (
        "config: component 'x' of slot 'engine' could not be made: RuntimeError: no fuel"
    )
    assert isinstance(error.value.__cause__, RuntimeError)


def test_a_factory_that_raises_is_shown_with_its_line(problems):
    raises = component("x", Raises)
    assert problems('\n[engine]\nuse = "x"\n', own=engines(raises)) == [
        "kit.toml:3: component 'x' of slot 'engine' could not be made: RuntimeError: no fuel"
    ]


def test_a_component_without_the_methods_of_its_slot_is_refused(problems):
    assert problems('[engine]\nuse = "x"\n', own=engines(component("x", Lame))) == [
        f"kit.toml:2: component 'x' of slot 'engine' lacks run of {__name__}.Engine.\n"
        "    Write them, or choose another component."
    ]


def test_a_plugin_that_is_not_there_is_shown_with_the_error_of_its_import(problems):
    assert problems('[app]\nplugins = ["no_such_plugin"]\n') == [
        "kit.toml:2: [app] plugins: 'no_such_plugin' is no installed plug-in. As a module it"
        " cannot be imported: ModuleNotFoundError: No module named 'no_such_plugin'\n"
        "    Installed plug-ins: none; or name a module of the application."
    ]


def test_a_plugin_that_fails_on_import_is_shown_and_chained(tmp_path, module):
    module("plugin_with_a_bug", "raise RuntimeError('half-written')\n")
    with pytest.raises(ConfigError) as error:
        App({"app": {"plugins": ["plugin_with_a_bug"]}})
    assert "cannot be imported: RuntimeError: half-written" in str(error.value)
    assert isinstance(error.value.__cause__, RuntimeError)


def test_a_module_of_the_application_may_be_a_plugin(module):
    module(
        "own_plugin",
        "from kit import hookimpl, provider\n"
        "@provider(scope='app')\n"
        "def answer():\n"
        "    return 42\n"
        "@hookimpl\n"
        "def kit_providers():\n"
        "    return [answer]\n",
    )
    assert App({"app": {"plugins": ["own_plugin"]}}).call(lambda answer: answer) == 42


def test_a_plugin_that_is_listed_twice_counts_once(module):
    module("own_plugin", "from kit import hookimpl\nthis = __import__('own_plugin')\n")
    app = App({"app": {"plugins": ["own_plugin", "own_plugin", "own_plugin:this"]}})
    named = [name for name, _ in app.stack.plugins.manager.list_name_plugin()]
    assert named.count("own_plugin") == 1


def test_a_class_of_the_application_fills_a_slot(problems, module, tmp_path):
    module(
        "my_adapters",
        "from kit.slots.templating import TemplatingOptions\n"
        "class Plain:\n"
        "    def __init__(self, options: TemplatingOptions):\n"
        "        self.folder = options.folder\n"
        "    def render(self, name, values, block=None):\n"
        "        return (self.folder / name).read_text().format(**values)\n"
        "    def render_string(self, source, values):\n"
        "        return source.format(**values)\n",
    )
    (tmp_path / "hi.txt").write_text("hello {name}")
    app = App({"templating": {"use": "my_adapters:Plain", "folder": str(tmp_path)}})
    assert app.call(lambda render: render("hi.txt", name="Ada")) == "hello Ada"


def test_a_component_of_the_application_may_be_described_in_full(module):
    module(
        "my_engines",
        "from kit import Component\n"
        "class Runs:\n"
        "    def run(self):\n"
        "        return 'yes'\n"
        "quick = Component(slot='engine', name='quick', factory='my_engines:Runs')\n",
    )
    app = App({"engine": {"use": "my_engines:quick"}}, plugins={"own": engines()})
    assert app.call(lambda engine: engine.run()) == "yes"


def test_a_class_that_is_not_there_is_shown_with_the_nearest(problems, module, tmp_path):
    module("my_engines", "class Runs:\n    pass\n")
    assert problems('[engine]\nuse = "my_engines:Run"\n', own=engines()) == [
        "kit.toml:2: [engine] use = 'my_engines:Run' cannot be imported: AttributeError:"
        " module 'my_engines' has no 'Run'. Did you mean 'Runs'?\n"
        f"    It is looked for where Python was started and, by the command kit, in {tmp_path}."
    ]


def test_a_component_of_the_application_for_another_slot_is_refused(problems, module):
    module(
        "my_engines",
        "from kit import Component\n"
        "quick = Component(slot='engine', name='quick', factory='my_engines:Runs')\n",
    )
    assert problems('[routing]\nuse = "my_engines:quick"\n', own=engines()) == [
        "kit.toml:2: [routing] use = 'my_engines:quick': it fills the slot 'engine'.\n"
        "    Move it to [engine]."
    ]


def test_all_problems_are_reported_at_once_by_line(problems, monkeypatch):
    monkeypatch.setenv("KIT_LIMITS__FIELDS", "many")
    found = problems(
        '[persistence]\nuse = "sqlalchemi"\n'
        '[app]\ndebugg = true\nplugins = ["no_such_plugin"]\n'
        '[limits]\nbody = "big"\n'
        '[templating]\nuse = "mako"\nfolder = "nowhere"\nreload = "often"\n'
        "[sesions]\nlifetime = 5\n"
    )
    assert [problem.split(" ")[0] for problem in found] == [
        "environment",
        *(f"kit.toml:{line}:" for line in (2, 4, 5, 7, 11, 13)),
    ]


def test_a_mistake_in_a_plugin_does_not_hide_those_of_the_file(problems):
    @hookimpl
    def kit_stat(app: App) -> None:
        """Not a hook."""

    wrong = plugin_of()
    wrong.kit_stat = kit_stat
    found = problems("[app]\ndebugg = true\n", own=wrong)
    assert [problem.split(":")[0] for problem in found] == ["kit.toml", "plug-in 'own'"]


def test_nothing_shows_the_secret_key():
    key = "hunter2-" * 5
    app = App({"app": {"secret_key": key}})
    assert "hunter2" not in repr(app.stack)
    assert "hunter2" not in repr(app.config)
    assert app.call(lambda secret_key: secret_key) == key


@pytest.mark.parametrize("source", [{"routing": "werkzeug"}, {"sessions": 3}, {"limits": []}])
def test_a_value_where_a_table_should_be_is_reported(source):
    with pytest.raises(ConfigError, match="not a table"):
        App(source)


def test_a_variable_with_one_underscore_is_reported(monkeypatch):
    monkeypatch.setenv("KIT_TEMPLATING_USE", "mako")
    with pytest.raises(ConfigError) as error:
        App()
    assert str(error.value) == (
        "environment variable KIT_TEMPLATING_USE: sets nothing: two underscores stand between"
        " [templating] and its key.\n    Call it KIT_TEMPLATING__USE, or unset it."
    )


def test_the_table_of_an_own_component_may_stay_while_another_is_in_use():
    App({"routing": {"use": "werkzeug", "MyRouter": {"speed": 3}}})
    with pytest.raises(ConfigError, match="Did you mean 'ffroute'"):
        App({"routing": {"use": "werkzeug", "ffrout": {"speed": 3}}})


@pytest.mark.parametrize("password", ["ses#ame", "ses/ame", "ses?ame"])
def test_a_password_that_is_not_encoded_is_not_shown(password):
    url = f"postgresql://ada:{password}@host/name"
    with pytest.raises(ConfigError, match="in a password write") as error:
        App({"persistence": {"use": "sqlalchemy", "url": url}})
    assert "ses" not in str(error.value).replace("sessions", "")


def test_a_mistake_in_a_record_is_found_without_a_handler_that_stores():
    app = App({"persistence": {"use": "sqlalchemy", "url": "sqlite:///x.db"}})

    @dataclass
    class Note:
        words: list[str]
        id: int | None = None

    app.records(Note)
    with pytest.raises(ConfigError) as error:
        app.check()
    [problem] = error.value.problems
    assert "Note.words: list" in problem.what


def table(tmp_path, fields):
    app = App({"persistence": {"use": "sqlalchemy", "url": f"sqlite:///{tmp_path}/x.db"}})
    app.records(make_dataclass("Note", [*fields, ("id", int | None, None)]))
    return app


def test_a_table_that_does_not_fit_its_record_is_found_at_start(tmp_path):
    table(tmp_path, [("words", str)]).start().stop()
    with pytest.raises(ConfigError) as error:
        table(tmp_path, [("words", str), ("more", str)]).start()
    assert "the table 'note' does not fit the record Note: no such column: more" in str(error.value)
    assert "There are no migrations" in str(error.value)


def test_a_database_that_is_away_at_start_is_named(tmp_path):
    (tmp_path / "x.db").write_text("this is a file of text, and no database at all")
    with pytest.raises(ConfigError, match=r"url = .*x.db.*: file is not a database"):
        table(tmp_path, [("words", str)]).start()


def test_a_table_where_a_value_should_be_is_reported():
    with pytest.raises(ConfigError) as error:
        App({"limits": {"body": {"x": 1}}, "app": {"debug": {"nonsense": True}}})
    assert [problem.what for problem in error.value.problems] == [
        "[app.debug] is a table, not true or false.",
        "[limits.body] is a table, not a size such as '16 MiB'.",
    ]


class Note:
    def __init__(self, options: EngineOptions) -> None:
        self.level = options.level

    def run(self) -> str:
        return f"level {self.level}"


BAND = Slot(name="band", protocol=Engine, options=EngineOptions, many=True, default=("flute",))


def band(source: dict) -> App:
    components = [Component(slot="band", name=name, factory=Note) for name in ("flute", "drum")]
    plugin = plugin_of(kit_slots=lambda: [BAND], kit_components=lambda: components)
    return App({"band": {"level": 1} | source}, plugins={"band": plugin})


def test_a_slot_for_many_holds_them_by_name_in_the_order_of_the_config():
    app = band({"use": ["drum", "flute"], "flute": {"level": 7}})
    assert [filling.key for filling in app.stack.filling("band")] == ["band.drum", "band.flute"]
    held = app.provided("band")
    assert held["drum"].run() == "level 1"
    assert held["flute"].run() == "level 7"
    assert list(held) == ["drum", "flute"]


def test_a_slot_for_many_has_its_defaults_and_takes_a_list_from_the_environment(monkeypatch):
    assert list(band({}).provided("band")) == ["flute"]
    monkeypatch.setenv("KIT_BAND__USE", "drum, flute")
    assert list(band({}).provided("band")) == ["drum", "flute"]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ([], "[band] use = [] names nothing."),
        (["drum", "drum"], "[band] use = ['drum', 'drum'] names one twice."),
        (["dumr"], "[band] use = 'dumr': no component of that name. Did you mean 'drum'?"),
        ([3], "[band] use = 3: no component of that name."),
    ],
)
def test_a_wrong_list_of_components_is_an_error(use, message):
    with pytest.raises(ConfigError) as error:
        band({"use": use})
    assert message in str(error.value)


def test_old_keys_are_given_behind_the_one_that_signs():
    old, new = "o" * 32, "n" * 32
    app = App({"app": {"secret_key": new, "secret_key_fallbacks": [old]}})
    assert app.provided("secret_keys") == (new, old)
    with pytest.raises(ConfigError, match="secret_key_fallbacks is shorter than 32"):
        App({"app": {"secret_key": new, "secret_key_fallbacks": ["short"]}})
    with pytest.raises(ConfigError, match="there is no secret_key"):
        App({"app": {"secret_key_fallbacks": [old]}})
