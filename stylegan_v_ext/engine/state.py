"""All that a run needs to go on exactly as if it had never stopped, in one file."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dnnlib
from stylegan_v_ext.files import atomic_path
from torch_utils import training_stats

STATE_NAME = "training-state-latest.pt"
OPTIONS_NAME = "training_options.json"
_VERSION = 1


def random_state() -> dict[str, Any]:
    """States of all random generators of this process, as tensors and plain values."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    version, inner, following = random.getstate()
    return dict(
        numpy=[kind, torch.from_numpy(np.array(keys, dtype=np.int64)), position, has_gauss, gauss],
        python=[version, list(inner), following],
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    )


def set_random_state(state: dict[str, Any]) -> None:
    """The inverse of `random_state`; CUDA's only where there are as many devices as then."""
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, inner, following = state["python"]
    random.setstate((version, tuple(inner), following))
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def capture(trainer: Any) -> dict[str, Any]:
    """The state of a `Trainer` between two steps."""
    return dict(
        version=_VERSION, num_clips=trainer.num_clips, num_steps=trainer.num_steps, num_items=len(trainer.dataset),
        networks={name: getattr(trainer, name).state_dict() for name in ("G", "D", "G_ema")},
        optimizers={name: getattr(trainer, name).state_dict() for name in ("G_opt", "D_opt")},
        augment_p=trainer.loss.augment_p, pl_mean=trainer.loss.pl_mean, ada_stats=trainer.ada_stats.state_dict(),
        statistics=training_stats.state_dict(), random=random_state(), progress=trainer.progress.state_dict(),
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
    set_random_state(state["random"])


def save_state(trainer: Any, run_dir: Path) -> Path:
    """Write `training-state-latest.pt`; the one before it stays until the new one is complete."""
    path = run_dir / STATE_NAME
    with atomic_path(path) as temporary:
        torch.save(capture(trainer), temporary)
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


def latest_run(outdir: Path) -> Path:
    """The run folder in `outdir` whose state was written last. Raises `ValueError` if there is none."""
    states = sorted(outdir.glob(f"*/{STATE_NAME}"), key=lambda path: path.stat().st_mtime_ns)
    if not states:
        raise ValueError(f"--resume=latest: no run folder in {outdir} holds a {STATE_NAME}; check --outdir")
    return states[-1].parent
