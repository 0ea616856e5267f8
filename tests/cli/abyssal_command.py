"""Runs the `abyssal` command for tests."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLI = os.environ.get("ABYSSAL_CLI", str(ROOT / "build/bin/abyssal"))


def run(*arguments, stdin=None, status=0, env=None, timeout=120):
    done = subprocess.run([CLI, *map(str, arguments)], input=stdin, capture_output=True, timeout=timeout,
                          env={**os.environ, **(env or {})})
    assert done.returncode == status, done.stderr.decode()
    return done


def out_json(*arguments, **options):
    return json.loads(run(*arguments, **options).stdout)


def fails(status, part, *arguments, **options):
    error = run(*arguments, status=status, **options).stderr.decode()
    assert error.startswith("abyssal: ") and error.count("\n") == 1, error
    assert part in error, error
