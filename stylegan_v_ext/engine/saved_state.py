"""The files of a run folder that the run goes on from: its state and its options."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from stylegan_v_ext.checkpoints.plain_values import plain
from stylegan_v_ext.checkpoints.reader import read_file
from stylegan_v_ext.config.run import RunConfig
from stylegan_v_ext.config.stock import from_stock, to_stock
from stylegan_v_ext.documents import read_json
from stylegan_v_ext.engine.state_check import check_layout
from stylegan_v_ext.files import atomic_path, save_tensors

__all__ = [
    "OPTIONS_NAME",
    "REMEDY",
    "STATE_NAME",
    "load_options",
    "load_state",
    "record_data",
    "save_options",
    "save_state",
]

STATE_NAME = "training-state-latest.pt"
OPTIONS_NAME = "training_options.json"
REMEDY = "start a new run with --resume=SNAPSHOT"
"""What a user can do if a run cannot go on."""


def save_state(run_dir: Path, content: dict[str, Any]) -> Path:
    """Write the state of a run; the old file stays until the new file is complete.

    Args:
        run_dir: Run folder.
        content: Everything that the run needs to go on (`run_files.RunFiles.save_state`).

    Returns:
        Path of the file.

    Raises:
        OSError: If there is no room.
    """
    path = run_dir / STATE_NAME
    save_tensors(content, path)
    return path


def load_state(run_dir: Path) -> dict[str, Any]:
    """Read the state of a run, on the CPU. Nothing in the file is executed.

    Args:
        run_dir: Run folder.

    Returns:
        The state, of the layout that `state_check.check_layout` wants.

    Raises:
        ValueError: If the file is missing, damaged or not a state; the message names the remedy.
    """
    path = run_dir / STATE_NAME
    if not path.is_file():
        raise ValueError(f"{run_dir} holds no {STATE_NAME}, so the run cannot go on; {REMEDY}")
    try:
        state = plain(read_file(path))
        check_layout(state)
    except ValueError as error:
        reason = str(error).removeprefix(f"{path}: ").removeprefix(f"{path} ")
        raise ValueError(f"{path} cannot be read ({reason}); {REMEDY}") from None
    except (TypeError, RuntimeError, OverflowError, MemoryError) as error:  # damaged tensors raise these
        raise ValueError(f"{path} cannot be read ({type(error).__name__}); {REMEDY}") from None
    return state


def save_options(run_dir: Path, config: RunConfig) -> None:
    """Write the options of a run.

    Args:
        run_dir: Run folder.
        config: Configuration of the run.

    Raises:
        OSError: If there is no room.
    """
    with atomic_path(run_dir / OPTIONS_NAME) as temporary:
        temporary.write_text(json.dumps(to_stock(config), indent=2) + "\n", encoding="utf-8")


def load_options(run_dir: Path) -> RunConfig:
    """Read the configuration that a run was started with.

    Args:
        run_dir: Run folder.

    Returns:
        Configuration of the run, every entry checked.

    Raises:
        ValueError: If the file is missing or damaged, or an entry is wrong; the message names the first wrong entry.
    """
    path = run_dir / OPTIONS_NAME
    try:
        return from_stock(read_json(path))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read ({error}); {REMEDY}") from None


def record_data(run_dir: Path, path: str) -> None:
    """Write the present place of the data into the options of a run, so that the next part of the run finds them.

    Args:
        run_dir: Run folder.
        path: Zip, folder, shards or address of the data.
    """
    config = load_options(run_dir)
    if config.data.path != path:
        save_options(run_dir, replace(config, data=replace(config.data, path=path)))
