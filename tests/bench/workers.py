"""The programs that bindings.py and memory.py ask: one process for each language, alive for the whole run.

What they need is what tests/run.sh leaves: build/ with the Node.js addon and the Java jars, and the package in this Python.
"""

import argparse
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
from typing import Dict, List, Optional

from compare import ROOT
from programs import Failure, run

HERE = pathlib.Path(__file__).resolve().parent
LANGUAGES = {"c": "C", "python": "Python", "node": "Node.js", "java": "Java"}

# For measuring memory: a heap that is as large from the start as it may become, or that is kept as small as it can be.
NODE_MEMORY = ["--expose-gc", "--max-semi-space-size=1", "--max-old-space-size=64"]
JAVA_MEMORY = ["-XX:+UseSerialGC", "-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch"]


class Worker:
    """A program that answers each line with a line of JSON."""

    def __init__(self, name: str, command: List[str], timeout: float) -> None:
        self.name = name
        self.timeout = timeout
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise Failure(f"{command[0]}: cannot be run: {error.strerror}") from error

    def ask(self, *words) -> dict:
        line = " ".join(str(word) for word in words)
        watch = threading.Timer(self.timeout, self.process.kill)
        watch.start()
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            watch.cancel()
        try:
            return json.loads(answer)
        except ValueError:
            raise Failure(self._how_it_ended(line) if answer == "" else
                          f"{self.name} answered {line!r} with no JSON: {answer.strip()!r}") from None

    def _how_it_ended(self, line: str) -> str:
        status = self.process.wait()
        if status == -signal.SIGKILL:
            return f"{self.name} did not answer {line!r} within {self.timeout:.0f} s, or was killed"
        return f"{self.name} ended with status {status} at {line!r}"

    def resident(self) -> int:
        """KiB of the process that are in memory."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise Failure(f"{self.name} has ended")

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Workers:
    """Starts workers on one model; `with` ends them. work: a folder for what has to be made first."""

    def __init__(self, model: str, build: pathlib.Path, work: pathlib.Path, memory: bool = False,
                 node: Optional[str] = None, timeout: float = 3600) -> None:
        self.model, self.build, self.work = str(pathlib.Path(model).resolve()), build.resolve(), work
        self.memory, self.node, self.timeout = memory, node, timeout
        self.started: List[Worker] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *raised) -> None:
        for worker in self.started:
            worker.close()

    def start(self, language: str, name: str = "") -> Worker:
        command = getattr(self, "_" + language)() + [self.model]
        worker = Worker(name or LANGUAGES[language], command, self.timeout)
        self.started.append(worker)
        return worker

    def _c(self) -> List[str]:
        program = self.build / "bin/bindings_c"
        if not program.exists():
            raise Failure(f"{program}: there is no such program; build it (README.md)")
        return [str(program)]

    def _python(self) -> List[str]:
        return [sys.executable, str(HERE / "bindings_python.py")]

    def _node(self) -> List[str]:
        """The package is installed as a program's own, from the tarball."""
        app = self.work / "app"
        node = self.node or run(["bash", str(ROOT / "cmake/nodes.sh")], 60).splitlines()[0]
        if not app.exists():
            npm = run(["bash", str(ROOT / "cmake/nodes.sh"), "--npm"], 60).strip()
            tarball = run(["env", f"NODE={node}", f"NPM={npm}", "bash", str(ROOT / "bindings/javascript/pack.sh"),
                           str(self.build), str(self.work / "packed")], 600).splitlines()[-1]
            app.mkdir()
            (app / "package.json").write_text('{"name": "app", "private": true}\n')
            run([node, npm, "install", "--prefix", str(app), "--cache", str(self.work / "cache"), "--offline", "--silent",
                 "--no-audit", "--no-fund", tarball], 600)
            shutil.copy(HERE / "bindings_node.mjs", app)
        return [node, *(NODE_MEMORY if self.memory else []), str(app / "bindings_node.mjs")]

    def _java(self) -> List[str]:
        jars = sorted(str(jar) for jar in (self.build / "java/library/target").glob("abyssal-*.jar"))
        library = self.build / "lib/libabyssal.so"
        if not jars or max(pathlib.Path(jar).stat().st_mtime for jar in jars) < library.stat().st_mtime:
            raise Failure(f"{self.build}/java: there are no jars, or they are older than the library; tests/java/run.sh "
                          "makes them")
        classes = self.work / "classes"
        if not classes.exists():
            run(["javac", "-d", str(classes), "-cp", ":".join(jars), str(HERE / "BindingsJava.java")], 600)
        return ["java", *(JAVA_MEMORY if self.memory else []), "--enable-native-access=ALL-UNNAMED", "-cp",
                ":".join([str(classes), *jars]), "BindingsJava"]


def argument_parser(description: Optional[str], which_languages: str) -> argparse.ArgumentParser:
    """With what every program here asks for: the model, the languages, and where their programs are."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", nargs="?", default=str(ROOT / "examples/models/abyssal-tiny-r1"),
                        help="default: examples/models/abyssal-tiny-r1")
    parser.add_argument("--languages", default=",".join(LANGUAGES), help=which_languages)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="build folder (default build)")
    parser.add_argument("--node", metavar="PATH", help="the Node.js to run (default: the first of cmake/nodes.sh)")
    return parser


def languages(text: str) -> List[str]:
    """The languages of a command line, C first."""
    names = text.split(",")
    for name in names:
        if name not in LANGUAGES:
            raise Failure(f"{name!r} is no language here; expected some of {','.join(LANGUAGES)}")
    return [name for name in LANGUAGES if name in names]


def same(answers: Dict[str, dict], *keys: str) -> None:
    """All programs must have found the same."""
    for key in keys:
        values = {name: answer[key] for name, answer in answers.items()}
        if len(set(values.values())) > 1:
            raise Failure(f"the languages differ in {key}: {values}")
