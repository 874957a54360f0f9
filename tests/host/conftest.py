"""A small host of our own in the layouts of both codebases, and runs in processes of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MARKS = {"stylegan3": "networks_stylegan2.py", "stylegan2-ada-pytorch": "networks.py"}


def make_host(folder, codebase):
    shutil.copytree(Path(__file__).parent / "small_host", folder)
    (folder / "training" / MARKS[codebase]).write_text('"""Networks of images."""\n')
    return folder


@pytest.fixture(params=list(MARKS))
def small_host(request, tmp_path):
    """Path of a host with the layout of each codebase."""
    return make_host(tmp_path / request.param, request.param)


def run_python(*arguments, cwd=None, **environment):
    """A Python process that finds this project."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **environment},
    )  # fmt: skip


def contents(folder):
    """Every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
