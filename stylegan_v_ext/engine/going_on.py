"""Whether a run can go on with its options, its state and its data, and what to do after it failed."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.config.run import BatchConfig, RunConfig
from stylegan_v_ext.config.stock import to_stock
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.fingerprint import difference
from stylegan_v_ext.data.recorded import recorded_path
from stylegan_v_ext.engine.saved_state import OPTIONS_NAME, REMEDY, STATE_NAME, load_state

__all__ = ["after_not_finite", "after_out_of_memory", "check_data", "check_going_on", "check_sizes", "network_sizes"]


def check_going_on(config: RunConfig, run_dir: Path, state: dict[str, Any], data: str | None = None) -> RunConfig:
    """Return the configuration to go on with from a state.

    Args:
        config: Configuration of the run, perhaps with another length.
        run_dir: Run folder.
        state: Content of the state file.
        data: Place of the data now; None for the place that the configuration names.

    Raises:
        ValueError: If nothing is left to train, or if the configuration names an address that the user did not name: a
            file alone may not decide what is fetched.
    """
    kimg = config.schedule.total_kimg
    if state["num_clips"] >= kimg * 1000:
        raise ValueError(f"{run_dir} has trained its {kimg:g} kimg; give a larger --kimg to go on")
    path = data or recorded_path("the run", config.data.path)
    return replace(config, data=replace(config.data, path=path))


def check_data(dataset: SparseVideoDataset, fingerprint: dict[str, str], state: dict[str, Any]) -> dict[str, str]:
    """Check that a state was made with a data set.

    Args:
        dataset: Data set as it is now.
        fingerprint: Its fingerprint. A folder has no checksums; the run keeps those of the zip that it came from.
        state: Content of the state file. Early states have no fingerprint, only the number of items.

    Returns:
        Fingerprint of the data, with the parts that only the state knows.

    Raises:
        ValueError: If the data set holds other data.
    """
    if state["num_items"] != len(dataset):
        raise ValueError(
            f"{dataset.path} has {len(dataset)} items, had {state['num_items']} when the run began; {REMEDY}"
        )
    before = state.get("data")
    differing = before and difference(before["fingerprint"], fingerprint)
    if before and differing:
        raise ValueError(
            f"{dataset.path} holds other data than {before['path']} did in this run: {differing} differ; name the data "
            f"of this run with --data=PATH, or {REMEDY}"
        )
    return {**(before["fingerprint"] if before else {}), **fingerprint}


def network_sizes(dataset: SparseVideoDataset) -> dict[str, int]:
    """Return the arguments of a run's networks that follow from its data set."""
    return {"c_dim": dataset.label_dim, "img_resolution": dataset.resolution, "img_channels": dataset.num_channels}


def check_sizes(config: RunConfig, dataset: SparseVideoDataset, state: dict[str, Any]) -> None:
    """Check that the networks of a configuration have the tensors of a state, before any network is made.

    A few characters in a file of options could otherwise ask for any amount of memory.

    Args:
        config: Configuration of the run.
        dataset: Data set of the run.
        state: Content of the state file.

    Raises:
        ValueError: If names or shapes of tensors differ.
    """
    document = to_stock(config)
    for name, tensors in state["networks"].items():
        described = document["D_kwargs"] if name == "D" else document["G_kwargs"]
        arguments = {**described, **network_sizes(dataset)}
        class_name = arguments.pop("class_name").rpartition(".")[2]
        try:
            NetworkData(class_name, json.loads(json.dumps(arguments)), tensors).check()
        except ValueError as error:
            raise ValueError(
                f"networks.{name} of {STATE_NAME} is not what {OPTIONS_NAME} describes ({error}); {REMEDY}"
            ) from None


def after_not_finite(run_dir: Path) -> str:
    """Return what to do after a loss or a weight became NaN or infinite.

    Args:
        run_dir: Run folder, which holds the last good state.
    """
    kept = load_state(run_dir)["num_steps"]
    return (
        f"; the last good state, of step {kept}, is kept. Start anew from a snapshot with a smaller --glr and "
        "--dlr or another --gamma, or go on over it by "
        f"--resume={shlex.quote(str(run_dir))} --nan-policy=ignore"
    )


def after_out_of_memory(run_dir: Path, batch: BatchConfig) -> str:
    """Return what to do after memory ran out.

    Args:
        run_dir: Run folder.
        batch: Sizes of a batch.
    """
    smaller = next((part for part in range(batch.per_gpu // 2, 0, -1) if batch.size % part == 0), 1)
    cure = f"--batch-gpu={smaller}" if batch.per_gpu > 1 else "smaller --cbase and --cmax"
    return f"out of memory with --batch-gpu={batch.per_gpu}; go on with --resume={shlex.quote(str(run_dir))} {cure}"
