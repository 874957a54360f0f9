"""All that a run needs to go on exactly as if it had never stopped, in one file.

Random generators are not in it: what a step draws is a function of the seed, the step and the round
(`loop.Trainer`), and what an item draws of its position (`batches`).
"""

import json
from pathlib import Path
from typing import Any

import dnnlib
from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.checkpoints.plain_values import plain
from stylegan_v_ext.checkpoints.reader import read_file
from stylegan_v_ext.data.fingerprint import difference
from stylegan_v_ext.data.recorded import recorded_path
from stylegan_v_ext.documents import read_json
from stylegan_v_ext.engine.options import check_options
from stylegan_v_ext.engine.state_check import NETWORKS, OPTIMIZERS, VERSION, check_fit, check_layout
from stylegan_v_ext.files import atomic_path, save_tensors
from torch_utils import training_stats

STATE_NAME = "training-state-latest.pt"
OPTIONS_NAME = "training_options.json"
_REMEDY = "start a new run with --resume=SNAPSHOT"


def capture(trainer: Any) -> dict[str, Any]:
    """The state of a `Trainer` between two steps; all processes have to call it."""
    return dict(
        version=VERSION,
        num_clips=trainer.num_clips,
        num_steps=trainer.num_steps,
        num_items=len(trainer.dataset),
        data={"path": trainer.dataset.path, "fingerprint": trainer.fingerprint},
        networks={name: getattr(trainer, name).state_dict() for name in NETWORKS},
        optimizers={name: getattr(trainer, name).state_dict() for name in OPTIMIZERS},
        augment_p=trainer.loss.augment_p,
        pl_mean=trainer.loss.pl_mean,
        ada_stats=trainer.ada_stats.state_dict(),
        statistics=training_stats.state_dict(),
        progress=trainer.progress.state_dict(),
    )


def restore(trainer: Any, state: dict[str, Any]) -> None:
    """Put a fresh `Trainer` where another stopped. Raises `ValueError` for a state that does not fit it."""
    try:
        check_fit(state, trainer)
    except ValueError as error:
        raise ValueError(
            f"{trainer.run_dir / STATE_NAME} does not fit the run's options ({error}); {_REMEDY}"
        ) from None
    trainer.num_clips, trainer.num_steps = state["num_clips"], state["num_steps"]
    for name, tensors in state["networks"].items():
        getattr(trainer, name).load_state_dict(tensors)
    for name, content in state["optimizers"].items():
        optimizer = getattr(trainer, name)
        own = optimizer.state_dict()["param_groups"]  # settings are the options', moments the state's
        optimizer.load_state_dict({"state": content["state"], "param_groups": own})
    trainer.loss.augment_p = float(state["augment_p"])
    trainer.loss.pl_mean.copy_(state["pl_mean"])
    if trainer.augment_pipe is not None:
        trainer.augment_pipe.p.fill_(state["augment_p"])
    training_stats.load_state_dict(state["statistics"])
    trainer.ada_stats.load_state_dict(state["ada_stats"])
    trainer.progress.load_state_dict(state["progress"])


def check_data(dataset: Any, fingerprint: dict[str, str], state: dict[str, Any]) -> dict[str, str]:
    """Raise `ValueError` unless a data set is the one that a state was made with; returns all that is known of it.

    Args:
        dataset: The open data set.
        fingerprint: Its own. States of version 0.1.0 have no fingerprint to compare, only the number of items. A folder
            has no checksums: those of the zip that it was stay in the run.
    """
    if state["num_items"] != len(dataset):
        raise ValueError(
            f"{dataset.path} has {len(dataset)} items, had {state['num_items']} when the run began; {_REMEDY}"
        )
    before = state.get("data")
    differing = before and difference(before["fingerprint"], fingerprint)
    if before and differing:
        raise ValueError(
            f"{dataset.path} holds other data than {before['path']} did in this run: {differing} differ; name the data "
            f"of this run with --data=PATH, or {_REMEDY}"
        )
    return {**(before["fingerprint"] if before else {}), **fingerprint}


def network_sizes(dataset: Any) -> dict[str, int]:
    """Arguments of a run's networks that follow from its data set."""
    return {"c_dim": dataset.label_dim, "img_resolution": dataset.resolution, "img_channels": dataset.num_channels}


def check_sizes(config: dnnlib.EasyDict, dataset: Any, state: dict[str, Any]) -> None:
    """Raise `ValueError` unless the networks that a config describes have the tensors of a state.

    Few characters of options can ask for any amount of memory, which is not taken here.
    """
    for name, tensors in state["networks"].items():
        described = config.D_kwargs if name == "D" else config.G_kwargs
        arguments = {**described, **network_sizes(dataset)}
        class_name = arguments.pop("class_name").rpartition(".")[2]
        try:
            NetworkData(class_name, json.loads(json.dumps(arguments)), tensors).check()
        except ValueError as error:
            raise ValueError(
                f"networks.{name} of {STATE_NAME} is not what {OPTIONS_NAME} describes ({error}); {_REMEDY}"
            ) from None


def go_on_with_data(config: dnnlib.EasyDict, data: str | None) -> None:
    """Put the place of the data into a config.

    Args:
        config: The run's; knows where the data were.
        data: Where the user says that they are; `None` for where they were.

    Raises:
        ValueError: For an address that the user did not name: a file alone may not say what is fetched.
    """
    config.training_set_kwargs.path = data or recorded_path("the run", config.training_set_kwargs.path)


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
    if not path.is_file():
        raise ValueError(f"{run_dir} holds no {STATE_NAME}, so the run cannot go on; {_REMEDY}")
    try:
        state = plain(read_file(path))
        check_layout(state)
    except ValueError as error:
        reason = str(error).removeprefix(f"{path}: ").removeprefix(f"{path} ")
        raise ValueError(f"{path} cannot be read ({reason}); {_REMEDY}") from None
    except (TypeError, RuntimeError, OverflowError, MemoryError) as error:  # of damaged tensors
        raise ValueError(f"{path} cannot be read ({type(error).__name__}); {_REMEDY}") from None
    return state


def save_options(run_dir: Path, config: dict[str, Any]) -> None:
    """Write `training_options.json`."""
    with atomic_path(run_dir / OPTIONS_NAME) as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def record_data(run_dir: Path, path: str) -> None:
    """Write into a run's options where its data are now, so that the next part finds them."""
    options = load_options(run_dir)
    if options.training_set_kwargs.path != path:
        options.training_set_kwargs.path = path
        save_options(run_dir, options)


def load_options(run_dir: Path) -> dnnlib.EasyDict:
    """The config that a run was started with. Raises `ValueError`, naming the first entry that is wrong."""
    path = run_dir / OPTIONS_NAME
    try:
        document = read_json(path)
        check_options(document)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read ({error}); {_REMEDY}") from None
    return _easy(document)


def _easy(value: Any) -> Any:
    if isinstance(value, dict):
        return dnnlib.EasyDict({key: _easy(entry) for key, entry in value.items()})
    return [_easy(entry) for entry in value] if isinstance(value, list) else value


def latest_run(outdir: Path) -> Path | None:
    """The run folder in `outdir` whose state was written last, `None` if there is none."""
    states = sorted(outdir.glob(f"*/{STATE_NAME}"), key=lambda path: path.stat().st_mtime_ns)
    return states[-1].parent if states else None
