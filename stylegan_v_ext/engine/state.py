"""All that a run needs to go on exactly as if it had never stopped, in one file.

Random generators are not in it: what a step draws is a function of the seed, the step and the round
(`loop.Trainer`), and what an item draws of its position (`batches`).
"""

import json
from pathlib import Path
from typing import Any

import torch

import dnnlib
from stylegan_v_ext.files import save_tensors
from torch_utils import training_stats

STATE_NAME = "training-state-latest.pt"
OPTIONS_NAME = "training_options.json"
_VERSION = 1


def capture(trainer: Any) -> dict[str, Any]:
    """The state of a `Trainer` between two steps; all processes have to call it."""
    return dict(
        version=_VERSION, num_clips=trainer.num_clips, num_steps=trainer.num_steps, num_items=len(trainer.dataset),
        networks={name: getattr(trainer, name).state_dict() for name in ("G", "D", "G_ema")},
        optimizers={name: getattr(trainer, name).state_dict() for name in ("G_opt", "D_opt")},
        augment_p=trainer.loss.augment_p, pl_mean=trainer.loss.pl_mean, ada_stats=trainer.ada_stats.state_dict(),
        statistics=training_stats.state_dict(), progress=trainer.progress.state_dict(),
    )  # fmt: skip


def restore(trainer: Any, state: dict[str, Any]) -> None:
    """Put a fresh `Trainer` where another stopped. Raises `ValueError` where the data has changed."""
    if state["num_items"] != len(trainer.dataset):
        raise ValueError(
            f"{trainer.dataset.path} has {len(trainer.dataset)} items, had {state['num_items']} when the run began; "
            "start a new run with --resume=SNAPSHOT"
        )
    trainer.num_clips, trainer.num_steps = state["num_clips"], state["num_steps"]
    for name, tensors in state["networks"].items():
        getattr(trainer, name).load_state_dict(tensors)
    for name, content in state["optimizers"].items():
        getattr(trainer, name).load_state_dict(content)
    trainer.loss.augment_p = state["augment_p"]
    trainer.loss.pl_mean.copy_(state["pl_mean"])
    if trainer.augment_pipe is not None:
        trainer.augment_pipe.p.fill_(state["augment_p"])
    training_stats.load_state_dict(state["statistics"])
    trainer.ada_stats.load_state_dict(state["ada_stats"])
    trainer.progress.load_state_dict(state["progress"])


def save_state(trainer: Any, run_dir: Path) -> Path:
    """Write `training-state-latest.pt`, in the leading process; the one before stays until the new one is complete.

    All processes have to call it.
    """
    path, content = run_dir / STATE_NAME, capture(trainer)
    if trainer.processes.leads:
        save_tensors(content, path)
    return path


def load_state(run_dir: Path) -> dict[str, Any]:
    """The state of a run, on the CPU. Raises `ValueError` with the remedy; nothing in it is executed."""
    path = run_dir / STATE_NAME
    remedy = "start a new run with --resume=SNAPSHOT"
    if not path.is_file():
        raise ValueError(f"{run_dir} holds no {STATE_NAME}, so the run cannot go on; {remedy}")
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        version = state["version"]
    except Exception as error:  # the reader fails in many ways on what is no such file
        raise ValueError(f"{path} cannot be read ({type(error).__name__}); {remedy}") from None
    if version != _VERSION:
        raise ValueError(f"{path} is of version {version}, this program reads {_VERSION}; {remedy}")
    return state


def load_options(run_dir: Path) -> dnnlib.EasyDict:
    """The config that a run was started with. Raises `ValueError`."""
    path = run_dir / OPTIONS_NAME
    try:
        return _easy(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{path} cannot be read ({reason}); start a new run with --resume=SNAPSHOT") from None


def _easy(value: Any) -> Any:
    if isinstance(value, dict):
        return dnnlib.EasyDict({key: _easy(entry) for key, entry in value.items()})
    return [_easy(entry) for entry in value] if isinstance(value, list) else value


def latest_run(outdir: Path) -> Path | None:
    """The run folder in `outdir` whose state was written last, `None` if there is none."""
    states = sorted(outdir.glob(f"*/{STATE_NAME}"), key=lambda path: path.stat().st_mtime_ns)
    return states[-1].parent if states else None
