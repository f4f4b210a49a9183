"""Runs a page of the documentation as a reader would, in a folder of its own, from top to bottom.

What a fenced block is for shows in its language and its caption:

- ``python``, ``toml``, ``html`` and others with a caption, or with a first line such as
  ``# contacts.py`` or ``<!-- templates/index.html -->``: a file, which is written. The caption
  ``contacts.py, at the end`` adds to the file. Python files have to be importable afterwards.
- ``diff`` with a caption: lines of a file to take out (-) and to put in (+) between other lines,
  which have to be there, once.
- ``console``: commands after ``$``, each of which has to succeed; what stands below a command is
  its output, with ``...`` for anything. ``$ echo $?`` follows a command that is meant to fail.
  The folder and exported variables are kept from command to command. A server (`SERVERS`) stays
  until the next one starts, or the page ends, and gets a free port in place of 8000.
- ``python`` and ``pycon`` without caption: statements that are executed, and a session whose
  output is compared. What stands between two files or commands is one process.
- ``text``: nothing to execute (what a browser shows, a diagram). There is no other exception.

``pip install`` runs as it stands, but without an index: what it asks for has to be there already.
What it builds from a folder of the page goes to a place of its own, which the page can import from.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.colon_fence import colon_fence_plugin

SERVERS = ("kit run", "kit serve")
NOT_CODE = ("text",)
FIRST_LINE = re.compile(r"(?:#|//|<!--|##|/\*) ([\w./-]+\.[a-z]\w*)(?::.*)?(?: -->| \*/)?$")
OPTION = re.compile(r":([\w-]+):\s*(.*)$")
WAIT = 20


class DocError(AssertionError):
    """A block did not do what the page says; the message begins with page and line."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its place, its language, its caption (or ``""``) and its text."""

    page: Path
    line: int
    language: str
    caption: str
    text: str

    @property
    def where(self) -> str:
        """Page and line, for messages."""
        return f"{self.page.name}:{self.line}"

    @property
    def file(self) -> str:
        """The file that the block is, or an empty string."""
        first = FIRST_LINE.match(self.text.partition("\n")[0])
        return self.caption or (first[1] if first and self.language != "console" else "")


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page, those inside of notes and the like included."""
    return list(_blocks(page, page.read_text("utf-8"), 1))


def _blocks(page: Path, text: str, first: int) -> Iterator[Block]:
    for token in MarkdownIt("commonmark").use(colon_fence_plugin).parse(text):
        line = first + (token.map[0] if token.map else 0)
        if token.type == "code_block":
            raise DocError(f"{page.name}:{line}: give the indented block a fence and a language")
        if token.type not in ("fence", "colon_fence"):
            continue
        directive = re.fullmatch(r"\{([\w:-]+)\}\s*(.*)", token.info.strip())
        if directive is None:
            yield Block(page, line, token.info.strip(), "", token.content)
        elif directive[1] == "code-block":
            options, content = _options(token.content)
            yield Block(page, line, directive[2], options.get("caption", ""), content)
        elif directive[1] in ("literalinclude", "include"):
            if not (page.parent / directive[2]).is_file():
                raise DocError(f"{page.name}:{line}: there is no file {directive[2]}")
        elif directive[1] not in ("toctree", "eval-rst", "image", "figure", "contents"):
            yield from _blocks(page, token.content, line + 1)


def _options(content: str) -> tuple[dict[str, str], str]:
    options: dict[str, str] = {}
    lines = content.splitlines(keepends=True)
    while lines and (found := OPTION.match(lines[0].rstrip())):
        options[found[1]] = found[2]
        lines.pop(0)
    return options, "".join(lines).lstrip("\n")


class Reader:
    """Does what a page says, in `folder`; leave the context to stop what was started."""

    def __init__(self, folder: Path) -> None:
        self.folder = self.current = folder
        self.port = _free_port()
        self.written: dict[Path, Block] = {}
        self.server: subprocess.Popen[str] | None = None
        self.log = folder.parent / f"{folder.name}.log"
        self.status = 0
        self.python: list[Block] = []
        prefix = folder.parent / f"{folder.name}.installed"
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("KIT_", "PYTEST", "COV_", "SECRET", "PIP_"))
        } | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PORT": str(self.port),
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it the other way round
            "PIP_PREFIX": str(prefix),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONPATH": sysconfig.get_path("purelib", vars={"base": str(prefix)}),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # those of the tests around it take long
            "COLUMNS": "100",
            "NO_COLOR": "1",
        }
        self._always = {name: self.environ[name] for name in ("PATH", "PORT")}

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def read(self, page: Path) -> None:
        """Do everything on a page; raise DocError at the first thing that is not as it says."""
        for block in blocks(page):
            self.do(block)
        self.finish()

    def do(self, block: Block) -> None:
        """Do what one block says."""
        if block.language in NOT_CODE:
            return
        if block.language in ("python", "pycon") and not block.file:
            self.python.append(block)
            return
        self.execute()
        if block.language == "console":
            self.commands(block)
        elif block.language == "diff":
            self.edit(block)
        elif block.file:
            self.write(block)
        else:
            raise DocError(f"{block.where}: nobody can execute this {block.language!r} block")

    def write(self, block: Block) -> None:
        """Write a file, or add to one."""
        name, _, how = block.file.partition(", ")
        file = self.current / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if how == "at the end":
            if not file.exists():
                raise DocError(f"{block.where}: there is no {name} to add to")
            gap = "\n\n\n" if file.suffix == ".py" else "\n\n"
            file.write_text(f"{file.read_text('utf-8').rstrip()}{gap}{block.text}", "utf-8")
        elif how:
            raise DocError(f"{block.where}: unknown caption {block.file!r}")
        else:
            file.write_text(block.text, "utf-8")
        self._wrote(file, block)

    def edit(self, block: Block) -> None:
        """Change lines of a file as a ``diff`` block says."""
        file = self.current / block.file
        lines = block.text.splitlines(keepends=True)
        old = "".join(line[1:] or "\n" for line in lines if not line.startswith("+"))
        new = "".join(line[1:] or "\n" for line in lines if not line.startswith("-"))
        text = file.read_text("utf-8")
        if text.count(old) != 1:
            raise DocError(f"{block.where}: {block.file} has these lines {text.count(old)} times")
        file.write_text(text.replace(old, new), "utf-8")
        self._wrote(file, block)

    def _wrote(self, file: Path, block: Block) -> None:
        self.written[file] = block
        if file.suffix == ".toml":
            try:
                tomllib.loads(file.read_text("utf-8"))
            except tomllib.TOMLDecodeError as error:
                raise DocError(f"{block.where}: {error}") from error

    def execute(self) -> None:
        """Execute the statements since the last file or command."""
        program = _PROGRAM.format(blocks=[(b.language, b.text, b.where) for b in self.python])
        if self.python:
            self.python.clear()
            done = self._run([sys.executable, "-W", "error", "-c", program])
            if done.returncode:
                raise DocError(done.stdout)

    def commands(self, block: Block) -> None:
        """Run the commands of a block, and compare their output."""
        for command, expected in _commands(block):
            if command.startswith(SERVERS):
                found = self.serve(command, block)
            elif command == "echo $?":
                found, self.status = f"{self.status}\n", 0
            else:
                self._expect_success(block)
                found = self.shell(command)
            self._compare(block, command, expected, found)
        self._expect_success(block)

    def _expect_success(self, block: Block) -> None:
        if self.status:
            raise DocError(f"{block.where}: a command failed with {self.status}:\n{self.output}")

    def shell(self, command: str) -> str:
        """Run one command and return its output; keep where it ended, and its exports."""
        state = self.folder.parent / f"{self.folder.name}.state"
        script = f"{command}\nstatus=$?\n(pwd; env -0) > {shlex.quote(str(state))}\nexit $status"
        done = self._run(["bash", "-c", self._ported(script)])
        place, _, variables = state.read_text("utf-8").partition("\n")
        pairs = (pair.partition("=") for pair in variables.split("\0") if pair)
        self.current = Path(place)
        self.environ = {name: value for name, _, value in pairs} | self._always
        self.status, self.output = done.returncode, done.stdout
        return done.stdout

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.current,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )

    def serve(self, command: str, block: Block) -> str:
        """Start a server in place of the last one, and return what it says until it answers."""
        self.stop()
        bind = {"KIT_SERVING__BIND": f"127.0.0.1:{self.port}"} if "serve" in command else {}
        with self.log.open("w") as log:
            self.server = subprocess.Popen(
                ["bash", "-c", f"exec {self._ported(command.removesuffix('&'))}"],
                cwd=self.current,
                env=self.environ | bind,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + WAIT
        while time.monotonic() < end and self.server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                time.sleep(0.1)
                if not bind or "Serving." in self.log.read_text():
                    return self.log.read_text()
        raise DocError(f"{block.where}: {command} does not answer:\n{self.log.read_text()}")

    def stop(self) -> None:
        """Stop the server, as Ctrl-C does."""
        if self.server is None:
            return
        group = self.server.pid
        for what in (signal.SIGINT, signal.SIGKILL):
            try:
                os.killpg(group, what)
                self.server.wait(5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self.server = None

    def _ported(self, text: str) -> str:
        return text.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")

    def _compare(self, block: Block, command: str, expected: str, found: str) -> None:
        found = found.replace(str(self.port), "8000").replace(str(self.folder), "/home/you")
        if expected and not _matches(_plain(expected), _plain(found)):
            raise DocError(
                f"{block.where}: $ {command}\n--- the page shows\n{expected}--- but it is\n{found}"
            )

    def finish(self) -> None:
        """Import every Python file that the page wrote, each in the folder that it is in."""
        self.execute()
        self.stop()
        for file, block in self.written.items():
            if file.suffix != ".py" or not file.exists():
                continue
            self.current = file.parent
            done = self._run([sys.executable, "-c", f"import {file.stem}"])
            if done.returncode:
                raise DocError(f"{block.where}: {file.name} cannot be imported:\n{done.stdout}")


def _commands(block: Block) -> Iterator[tuple[str, str]]:
    command, output = "", ""
    for line in block.text.splitlines():
        if command.endswith("\\"):
            command = f"{command}\n{line.removeprefix('> ')}"
        elif line.startswith("$ "):
            if command:
                yield command, output
            command, output = line[2:], ""
        elif command:
            output += f"{line}\n"
        else:
            raise DocError(f"{block.where}: a console block begins with a command after '$ '")
    if command:
        yield command, output


def _plain(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.strip().splitlines())


def _matches(expected: str, found: str) -> bool:
    return doctest.OutputChecker().check_output(expected, found, doctest.ELLIPSIS)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


_PROGRAM = """
import doctest, sys
sys.path.insert(0, "")
shared = {{"__name__": "page"}}
parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
for language, text, where in {blocks!r}:
    if language == "pycon":
        case = parser.get_doctest(text, {{}}, where, where, 0)
        case.globs = shared
        if runner.run(case, clear_globs=False).failed:
            sys.exit(1)
    else:
        exec(compile(text, where, "exec"), shared)
"""
