"""The documentation and the README do what they say: every block of them is executed."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def _support():
    spec = importlib.util.spec_from_file_location("docs_support", ROOT / "tests/docs_support.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


docs_support = _support()
Reader, DocError, blocks = docs_support.Reader, docs_support.DocError, docs_support.blocks

PAGES = sorted(
    path.relative_to(ROOT)
    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]
    if "_build" not in path.parts
)

# Files that an excerpt is about, and does not show.
THERE = {
    "README.md": {
        "templates/index.html": "{% for one in contacts %}{{ one.name }}{% endfor %}{{ form }}",
    }
}

README_WORKS = """
from contacts import app
from kit.testing import client
visitor = client(app)
assert visitor.post("/", data={"name": "Ada"}, follow_redirects=True).text.startswith("Ada<")
assert visitor.get("/", headers={"Accept": "text/csv"}).text == "name,id\\r\\nAda,1\\r\\n"
refused = visitor.post("/", data={"name": " "})
assert refused.status_code == 422 and "This field is required." in refused.text
"""


@pytest.fixture
def reader(tmp_path):
    folder = tmp_path / "you"
    folder.mkdir()
    with Reader(folder) as reader:
        yield reader


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_does_what_it_says(page, reader):
    for name, text in THERE.get(str(page), {}).items():
        file = reader.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    reader.read(ROOT / page)


def test_the_application_of_the_readme_works(reader, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{(ROOT / 'README.md').read_text()}\n```python{README_WORKS}```\n")
    for name, text in THERE["README.md"].items():
        (reader.folder / name).parent.mkdir(exist_ok=True)
        (reader.folder / name).write_text(text)
    reader.read(page)


def test_the_pages_that_there_should_be_are_there():
    wanted = {"tutorial", "howto/swap", "howto/adapter", "howto/slot", "howto/records"}
    wanted |= {"howto/testing", "howto/deploy", "howto/services", "index", "howto/index"}
    wanted |= {"reference/index", "explanation/index"}
    assert wanted <= {str(page.relative_to("docs"))[:-3] for page in PAGES if "docs" in page.parts}


def _page(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    return page


BROKEN = {
    "a statement that raises": "```python\nimport nothing_of_that_name\n```",
    "a session with another result": "```pycon\n>>> 1 + 1\n3\n```",
    "a command that fails": "```console\n$ false\n```",
    "a command that fails before another": "```console\n$ false\n$ true\n```",
    "a command that does not fail": "```console\n$ true\n$ echo $?\n2\n```",
    "another output": "```console\n$ echo one\ntwo\n```",
    "output without a command": "```console\none\n```",
    "an unknown requirement": '```console\n$ pip install "no-such-distribution-of-framekit"\n```',
    "a server that does not start": "```console\n$ kit run\n```",
    "a file that cannot be imported": "```{code-block} python\n:caption: a.py\n\nimport b\n```",
    "a file in a note": ":::{note}\n```{code-block} python\n:caption: a.py\n\nimport b\n```\n:::",
    "a file that its first line names": "```python\n# a.py\nimport b\n```",
    "broken TOML": "```toml\n# kit.toml\n[app\n```",
    "lines for no file": "```{code-block} python\n:caption: a.py, at the end\n\n1\n```",
    "a change of other lines": "```python\n# a.py\n```\n```{code-block} diff\n"
    ":caption: a.py\n\n-one\n+two\n```",
    "a language that nobody executes": "```rust\nfn main() {}\n```",
    "a block without a language": "```\nx\n```",
    "an indented block": "text\n\n    x = 1\n",
    "a block in a list": "- item\n\n  ```python\n  import nothing_of_that_name\n  ```",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_block_fails(text, tmp_path, reader):
    with pytest.raises(DocError):
        reader.read(_page(tmp_path, text))


def test_blocks_share_a_folder_and_the_environment(tmp_path, reader):
    page = """
```{code-block} python
:caption: sub/a.py

x = 1
```
```{code-block} diff
:caption: sub/a.py

-x = 1
+x = 2
```
```{code-block} python
:caption: sub/a.py, at the end

y = 3
```
```console
$ cd sub
$ export WORD=spoken
```
```console
$ python -c "import a, os; print(a.x, a.y, os.environ['WORD'])"
2 3 spoken
$ cat nothing
...
$ echo $?
1
```
```python
from a import x
```
```pycon
>>> x
2
```
"""
    reader.read(_page(tmp_path, page))


def test_links_lead_somewhere():
    for page in PAGES:
        text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if not link.startswith(("http://", "https://", "#", "mailto:")):
                target = (ROOT / page).parent / link.partition("#")[0]
                assert target.exists(), f"{page} links to {link}"


def test_sphinx_builds_without_warnings(tmp_path):
    """Among its warnings are pages in no toctree, and links that lead nowhere."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    command += ["-d", str(tmp_path / "trees"), str(DOCS), str(tmp_path / "html")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not re.search(
        r'(?:src|href)="(?:https?:)?//[^"]+\.(?:js|css|woff2?)"',
        (tmp_path / "html" / "index.html").read_text("utf-8"),
    )


def test_services_are_installed_as_ci_does():
    page = (DOCS / "howto/services.md").read_text("utf-8")
    packages = set(re.findall(r"apt install ([\w-]+)", page))
    assert packages == {"postgresql", "mariadb-server", "redis-server", "memcached"}
    script = (ROOT / ".ci/run").read_text("utf-8")
    assert all(f"missing+=({package})" in script for package in packages)


def test_the_adapter_of_the_guide_is_short():
    shown = [block for block in blocks(DOCS / "howto/adapter.md") if block.language == "python"]
    adapter = [block for block in shown if block.file == "chameleon_templating.py"][-1]
    lines = [line for line in adapter.text.splitlines() if line.strip()]
    assert "RenderError" in adapter.text
    assert len(lines) - 1 < 40, "without blank lines and the docstring"


RECIPES = sorted(path.parent.name for path in (ROOT / "recipes").glob("*/kit.toml"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_newcomers_find_a_recipe(recipe):
    for page in (ROOT / "README.md", DOCS / "index.md"):
        assert f"`kit new shop --recipe {recipe}`" in page.read_text("utf-8"), page
    assert f"](recipes/{recipe}/README.md)" in (ROOT / "README.md").read_text("utf-8")
    listed = (DOCS / "reference/recipes.md").read_text("utf-8")
    assert f"### The recipe {recipe}\n" in listed
    assert f"{{include}} ../../recipes/{recipe}/README.md" in listed
    assert f"`{recipe}`" in (DOCS / "explanation/styles.md").read_text("utf-8")


def test_each_framework_with_a_recipe_names_it():
    page = (DOCS / "explanation/compared.md").read_text("utf-8")
    for name in ("Flask", "Bottle", "Falcon", "Sanic"):
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert f"`{name.lower()}_style`" in section, name


def test_each_style_links_the_file_that_it_shows():
    page = (DOCS / "explanation/styles.md").read_text("utf-8")
    shown = set(re.findall(r"\{literalinclude\} (\S+)", page))
    assert shown <= set(re.findall(r"\]\(([^)\s]+)\)", page))
    assert "first_tasks" not in page
    assert ":pyobject: create_app" not in page


def test_what_the_matrix_does_not_try_is_said():
    page = (DOCS / "howto/swap.md").read_text("utf-8")
    section = page.partition("### What is not tried\n")[2].partition("\n### ")[0]
    for word in ("serving", "formats", "identity", "passwords", "redis", "services.md"):
        assert word in section, word
    testing = (DOCS / "howto/testing.md").read_text("utf-8")
    assert "swap.md#what-is-not-tried" in testing
    assert "services.md" in testing
