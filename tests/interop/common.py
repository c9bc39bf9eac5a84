"""Shared by the tests of this folder: a temporary folder, the program under test, and its version lines."""
import atexit
import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

_folder = tempfile.TemporaryDirectory()
atexit.register(_folder.cleanup)
folder = Path(_folder.name)


def run(command, *arguments):
    """Runs the program under test: ebb-interop COMMAND ARGUMENTS."""
    done = subprocess.run([sys.argv[1], command, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"ebb-interop {command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def check(condition, *what):
    if not condition:
        sys.exit("failed: " + " ".join(map(str, what)))


def passed(count, *packages):
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    print(f"{count} checks passed with {versions}")
