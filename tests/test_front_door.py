"""The public names: they resolve, they are listed in the docs, and importing them imports no PyTorch."""

import importlib
import subprocess
import sys

import pytest

from tests import api_page
from tests.public_names import FRONT_DOOR, ROOT, exported, packages, public_names


@pytest.mark.parametrize("package", packages())
def test_every_public_name_resolves(package):
    module = importlib.import_module(package)
    assert list(module.__all__) == exported(package)
    for public in public_names(package):
        value = getattr(module, public.name)
        assert value is getattr(importlib.import_module(public.module), public.name)
        assert public.name in dir(module)


@pytest.mark.parametrize("package", packages()[1:])
def test_every_package_has_three_to_eight_public_names(package):
    assert 3 <= len(exported(package)) <= 8


@pytest.mark.parametrize("package", packages())
def test_no_public_name_is_that_of_a_module_beside_it(package):
    folder = ROOT.joinpath(*package.split("."))
    assert not [name for name in exported(package) if (folder / name).is_dir() or (folder / f"{name}.py").exists()]


@pytest.mark.parametrize("package", packages())
def test_unknown_names_are_named(package):
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        importlib.import_module(package).nothing  # noqa: B018


def test_importing_the_packages_imports_no_torch():
    code = (
        "import sys, importlib; [importlib.import_module(name) for name in sys.argv[1:]]; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *packages()], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "False\n", done.stderr


def test_star_import_gives_the_front_door_alone():
    names: dict[str, object] = {}
    exec(f"from {FRONT_DOOR} import *", names)
    assert set(exported(FRONT_DOOR)) == set(names) - {"__builtins__"}


def test_docs_list_the_public_names_as_their_docstrings_say():
    assert api_page.PAGE.read_text(encoding="utf-8") == api_page.page(), "run: make docs"
