"""``kit run`` and ``kit.wsgi`` in processes of their own."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from kit import App
from kit.cli.run import serve as run_app

KIT = Path(sys.executable).with_name("kit")
LOUD = """\
import kit


@kit.hookimpl
def kit_start(app):
    print("started", flush=True)


@kit.hookimpl
def kit_stop(app):
    print("stopped", flush=True)
"""


def command(*words: object) -> subprocess.CompletedProcess[str]:
    """Call a command that is to end by itself."""
    arguments = [str(KIT), *map(str, words)]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60)


SCRIPT = """
if __name__ == "__main__":
    from kit.cli.run import serve

    serve(app, port=0, reload="--reload" in sys.argv)
"""


class Server:
    """A process of ``kit run``, or of a script; what it prints is collected while it runs."""

    def __init__(self, *words: object, program: Path = KIT) -> None:
        arguments = [str(program), *map(str, words)]
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line

    def wait_for(self, text: str, times: int = 1) -> str:
        """Wait until it has printed a text, and return all that it has printed."""
        end = time.monotonic() + 15
        while len(re.findall(text, self.output)) < times and time.monotonic() < end:
            time.sleep(0.02)
        assert len(re.findall(text, self.output)) >= times, self.output
        return self.output

    @property
    def address(self) -> str:
        found = re.search(r"on (http://\S+) ", self.wait_for("Ctrl-C stops it"))
        assert found
        return found[1]

    def get(self, path: str = "/") -> str:
        with urllib.request.urlopen(self.address + path, timeout=10) as answer:
            return answer.read().decode()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=10)
        self._reader.join()
        return code


@contextmanager
def serve(*words: object, program: Path = KIT) -> Iterator[Server]:
    server = Server(*words, program=program)
    try:
        yield server
    finally:
        server.stop()
        assert server.process.stdout
        server.process.stdout.close()


@pytest.fixture
def loud(project):
    """The project with a plug-in that tells of start and stop."""
    (project / "loud.py").write_text(LOUD)
    text = (project / "kit.toml").read_text()
    (project / "kit.toml").write_text(text.replace("[app]", '[app]\nplugins = ["loud"]', 1))
    return project


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_address_and_stack_serves_and_stops_cleanly(loud, number):
    with serve("run", "--port", 0) as server:
        assert server.get() == "hello"
        assert server.stop(number) == 0
    lines = server.output.splitlines()
    assert lines[0] == "started"
    assert re.fullmatch(rf"{loud.name} on http://127.0.0.1:\d+ \(Ctrl-C stops it\)", lines[1])
    assert "  validation  msgspec" in "\n".join(lines)
    assert any(re.fullmatch(r"  routing     werkzeug \d.*", line) for line in lines)
    assert re.fullmatch(r"\d\d/\w+/\d+ [\d:]+  200  GET / HTTP/1.1", lines[-2])
    assert lines[-1] == "stopped"
    assert "\x1b[" not in server.output


def test_the_port_may_come_from_the_environment_and_the_host_be_ipv6(project, monkeypatch):
    monkeypatch.setenv("PORT", "0")
    with serve("run", "--host", "::1") as server:
        assert server.address.startswith("http://[::1]:")
        assert server.get() == "hello"


def test_a_port_in_use_is_told(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shown = command("run", "--port", port)
    assert shown.returncode == 2
    assert shown.stderr == (
        f"port {port} of 127.0.0.1 is in use.\n"
        f"    Stop the program that has it, or take another port: kit run --port {port + 1}\n"
    )


def test_an_address_of_another_machine_is_refused(project):
    shown = command("run", "--host", "192.0.2.1", "--port", 0)
    assert shown.returncode == 2
    assert "cannot listen on 192.0.2.1, port 0: Cannot assign requested address." in shown.stderr


def test_mistakes_end_it_before_it_listens(project):
    (project / "shop.py").write_text("1 / 0")
    shown = command("run", "--port", 0)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith("shop.py:1: ZeroDivisionError: division by zero\n")


def test_what_a_start_hook_raises_is_told(loud):
    (loud / "loud.py").write_text(LOUD.replace('print("started", flush=True)', "1 / 0"))
    shown = command("run", "--port", 0)
    assert shown.returncode == 2
    assert shown.stderr.startswith(
        "loud.py:6: ZeroDivisionError: division by zero\n    It was raised at"
    )


def test_a_missing_secret_file_is_made(project):
    (project / "secret.key").unlink()
    with serve("run", "--port", 0) as server:
        server.get()
    assert "Made secret.key, a secret key for development (mode 0600).\n" in server.output
    assert (project / "secret.key").stat().st_mode & 0o777 == 0o600
    assert len((project / "secret.key").read_text().strip()) == 64
    (project / "secret.key").write_text("0123456789" * 5)
    with serve("run", "--port", 0) as server:
        server.get()
    assert "Made" not in server.output
    assert (project / "secret.key").read_text() == "0123456789" * 5


def edit(project, old: str, new: str) -> None:
    text = (project / "shop.py").read_text()
    (project / "shop.py").write_text(text.replace(old, new))


def test_it_reloads_when_asked_and_waits_after_a_mistake(loud):
    with serve("run", "--port", 0, "--reload") as server:
        assert server.get() == "hello"
        edit(loud, "hello", "good bye")
        server.wait_for("Ctrl-C", times=2)
        assert server.get() == "good bye"
        edit(loud, "app =", "app == ")
        assert "shop.py:3: NameError" in server.wait_for("Waiting for a change.")
        edit(loud, "app == ", "app =")
        server.wait_for("Ctrl-C", times=3)
        assert server.get() == "good bye"
        assert server.stop() == 0
    assert server.output.count("started") == server.output.count("stopped") == 3


def test_it_does_not_reload_unasked(project):
    with serve("run", "--port", 0) as server:
        assert server.get() == "hello"
        edit(project, "hello", "good bye")
        time.sleep(0.8)
        assert server.get() == "hello"


def test_the_debugger_comes_only_when_asked(project):
    edit(project, 'return "hello"', "1 / 0")

    def failure(server: Server) -> str:
        with pytest.raises(urllib.error.HTTPError) as raised:
            server.get()
        with raised.value as answer:
            return answer.read().decode()

    with serve("run", "--port", 0) as server:
        assert "ZeroDivisionError" not in failure(server)
    with serve("run", "--port", 0, "--debug") as server:
        assert "ZeroDivisionError" in failure(server)
        assert re.search(r"debugger PIN [\d-]+", server.output)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org"])
def test_the_debugger_is_for_loopback_hosts(kit, host):
    shown = kit("run", "--debug", "--host", host)
    assert shown.exit_code == 2
    assert shown.stderr == (
        f"--debug: the debugger runs any code for anybody who reaches {host}.\n"
        "    Use it on 127.0.0.1, ::1 or localhost.\n"
    )


@pytest.fixture
def script(loud) -> Path:
    """The application as a script that serves."""
    start = "import sys\n\nfrom kit.cli.run import prepare\n\nprepare('kit.toml')\n"
    text = (loud / "shop.py").read_text()
    (loud / "shop.py").write_text(start + text + SCRIPT)
    return loud / "shop.py"


def test_a_script_serves_and_stops_cleanly(script):
    script.with_name("secret.key").unlink()
    with serve(script, program=Path(sys.executable)) as server:
        assert server.get() == "hello"
        assert server.stop() == 0
    assert server.output.startswith("Made secret.key")
    assert server.output.count("started") == server.output.count("stopped") == 1


def test_a_script_reloads_when_asked(script):
    with serve(script, "--reload", program=Path(sys.executable)) as server:
        assert server.get() == "hello"
        edit(script.parent, "hello", "good bye")
        server.wait_for("Ctrl-C", times=2)
        assert server.get() == "good bye"
        assert server.stop() == 0


def test_a_script_is_refused_a_debugger_for_others(script):
    text = script.read_text().replace("port=0", "port=0, host='0.0.0.0', debug=True")
    script.write_text(text)
    with serve(script, program=Path(sys.executable)) as server:
        assert server.process.wait(10) == 1
    assert "the debugger runs any code for anybody who reaches 0.0.0.0" in server.output


def test_a_script_is_told_how_to_take_another_port(script):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        script.write_text(script.read_text().replace("port=0", f"port={port}"))
        for words in ((), ("--reload",)):
            with serve(script, *words, program=Path(sys.executable)) as server:
                assert server.process.wait(10) == 1
            assert f"or take another port: port={port + 1}\n" in server.output
            assert "kit run" not in server.output


def test_serving_outside_of_the_main_thread_is_refused():
    message = "in the thread 'other_0': call it in the main thread"
    with ThreadPoolExecutor(1, "other") as threads, pytest.raises(RuntimeError, match=message):
        threads.submit(run_app, App()).result(10)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_kit_wsgi_gives_the_application_started(loud):
    shown = python("from kit.wsgi import application; print(application.routes[0].text)")
    assert (shown.returncode, shown.stdout) == (0, "started\n/\nstopped\n")


def test_kit_wsgi_ends_the_process_after_a_mistake(project):
    (project / "kit.toml").write_text('[app]\nimport = "shpo:app"\n')
    shown = python("import kit.wsgi")
    assert shown.returncode == 3
    assert shown.stderr.startswith("kit.toml:2: [app] import = 'shpo:app': there is no module")
    assert "Traceback" not in shown.stderr
