"""From the configuration of a run to its parts."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stylegan_v_ext import checkpoints
from stylegan_v_ext.checkpoints.transfer import load_networks
from stylegan_v_ext.classes import construct
from stylegan_v_ext.config.run import OptimizerConfig, RunConfig, StartConfig
from stylegan_v_ext.config.stock import to_stock
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.device import pick_device
from stylegan_v_ext.distributed import Processes
from stylegan_v_ext.engine.ada import AdaptiveAugmentation
from stylegan_v_ext.engine.batches import load_batches
from stylegan_v_ext.engine.ema import ExponentialMovingAverage
from stylegan_v_ext.engine.evaluation import SnapshotMetrics
from stylegan_v_ext.engine.going_on import check_data, check_sizes, network_sizes
from stylegan_v_ext.engine.health import Health
from stylegan_v_ext.engine.observers import Observers
from stylegan_v_ext.engine.run_files import RunFiles
from stylegan_v_ext.engine.saved_state import REMEDY, STATE_NAME
from stylegan_v_ext.engine.state import Progress, TrainingState
from stylegan_v_ext.engine.state_check import check_fit
from stylegan_v_ext.engine.step import GanStep
from torch_utils.training_stats import Statistics

__all__ = ["Parts", "build"]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a run.

    Attributes:
        dataset: Training set.
        state: Networks, optimizers and numbers.
        step: One step of training.
        files: Writer of snapshots and states.
        observers: Log, sheets of samples and metrics of the run.
        origin: Lines about the networks that the run starts from; "" for random weights.
    """

    dataset: SparseVideoDataset
    state: TrainingState
    step: GanStep
    files: RunFiles
    observers: Observers
    origin: str


def build(
    config: RunConfig, run_dir: Path, saved: dict[str, Any] | None, statistics: Statistics, processes: Processes
) -> Parts:
    """Make the parts of a run.

    The random generators have to be seeded, and reports have to go to `statistics` (`training_stats.recording`).

    Args:
        config: Configuration of the run.
        run_dir: Run folder.
        saved: Content of a state file to go on from; None for a new run.
        statistics: Sums of everything that the run reports.
        processes: This process among all that train together.

    Raises:
        ValueError: If the batch does not divide among the processes, the device is missing, or the state or the data do
            not fit.
    """
    rounds = _rounds(config, processes)
    device = pick_device(config.machine.device)
    document = to_stock(config)
    dataset = construct("data set", document["training_set_kwargs"])
    fingerprint = processes.from_leader(dataset.fingerprint)
    if saved is not None:
        fingerprint = check_data(dataset, fingerprint, saved)
        check_sizes(config, dataset, saved)  # before networks of other sizes take memory
    state, origin = _new_state(config, document, dataset, device, statistics, fresh=saved is None)
    if saved is not None:
        _restore(state, saved, config, run_dir)
    health = Health(device) if config.machine.nan_policy == "stop" else None
    files = RunFiles(
        run_dir,
        state,
        dataset,
        dataset_kwargs=document["training_set_kwargs"],
        fingerprint=fingerprint,
        health=health,
        processes=processes,
    )
    return Parts(
        dataset=dataset,
        state=state,
        step=_step(config, state, dataset, rounds, health, processes),
        files=files,
        observers=_observers(config, run_dir, state, dataset, document["training_set_kwargs"], processes),
        origin=origin,
    )


def _rounds(config: RunConfig, processes: Processes) -> range:
    """Return the numbers of this process's rounds. Raise `ValueError` if they do not divide among the processes."""
    size, per_gpu = config.batch.size, config.batch.per_gpu
    num_rounds = size // per_gpu
    if num_rounds % processes.count:
        raise ValueError(
            f"--batch={size} in parts of --batch-gpu={per_gpu} does not divide among {processes.count} "
            f"processes; use a --batch-gpu that does, such as {max(size // processes.count, 1)}"
        )
    return range(processes.rank, num_rounds, processes.count)


def _new_state(
    config: RunConfig,
    document: dict[str, Any],
    dataset: SparseVideoDataset,
    device: torch.device,
    statistics: Statistics,
    *,
    fresh: bool,
) -> tuple[TrainingState, str]:
    """Make networks and optimizers, and start from other networks if the run is fresh and the options say so.

    Returns:
        The state, and lines about the networks that the run starts from.
    """
    sizes = network_sizes(dataset)
    G = construct("generator", document["G_kwargs"], **sizes)
    D = construct("discriminator", document["D_kwargs"], **sizes)
    G_ema = copy.deepcopy(G).eval()
    origin = _start_from(config.start, G, D, G_ema) if config.start and fresh else ""
    for network in (G, D, G_ema):
        network.requires_grad_(requires_grad=False).to(device)
    augment_pipe = None
    if config.augmentation:
        augment_pipe = construct("augmentation", document["augment_kwargs"]).to(device)
    loss = construct("loss", document["loss_kwargs"], device=device, G=G, D=D, augment_pipe=augment_pipe)
    state = TrainingState(
        G=G,
        D=D,
        G_ema=G_ema,
        augment_pipe=augment_pipe,
        loss=loss,
        G_opt=_optimizer(G, document["G_opt_kwargs"], config.generator_optimizer, device),
        D_opt=_optimizer(D, document["D_opt_kwargs"], config.discriminator_optimizer, device),
        progress=Progress(next_tick=config.schedule.kimg_per_tick * 1000),
        statistics=statistics,
    )
    state.augment_p = config.ada.p
    return state, origin


def _restore(state: TrainingState, saved: dict[str, Any], config: RunConfig, run_dir: Path) -> None:
    """Go on from the content of a state file. Raise `ValueError` if it does not fit."""
    try:
        check_fit(saved, state, batch_size=config.batch.size, finite=config.machine.nan_policy == "stop")
    except ValueError as error:
        raise ValueError(f"{run_dir / STATE_NAME} does not fit the run's options ({error}); {REMEDY}") from None
    state.load_state_dict(saved)


def _start_from(start: StartConfig, G: torch.nn.Module, D: torch.nn.Module, G_ema: torch.nn.Module) -> str:
    """Take over what fits of the networks of a checkpoint; return lines about it."""
    source = checkpoints.load(start.path, trust_pickle=start.trusted, allow_nan=start.allow_nan)
    return load_networks(source, G, D, G_ema)


def _optimizer(
    network: torch.nn.Module, kwargs: dict[str, Any], config: OptimizerConfig, device: torch.device
) -> torch.optim.Optimizer:
    """Make the optimizer of a network; make up for the extra steps of a lazy regulariser (StyleGAN2, appendix B)."""
    ratio = config.reg_interval / (config.reg_interval + 1) if config.reg_interval else 1.0
    kwargs = {**kwargs, "lr": config.lr * ratio, "betas": tuple(float(beta) ** ratio for beta in config.betas)}
    network.requires_grad_(requires_grad=True)
    optimizer = construct("optimizer", kwargs, params=list(network.parameters()), fused=device.type in ("cuda", "cpu"))
    network.requires_grad_(requires_grad=False)
    return optimizer


def _step(
    config: RunConfig,
    state: TrainingState,
    dataset: SparseVideoDataset,
    rounds: range,
    health: Health | None,
    processes: Processes,
) -> GanStep:
    """Make the step of a run, and the stream of batches that it takes."""
    size, per_gpu, seed = config.batch.size, config.batch.per_gpu, config.machine.random_seed
    batches = load_batches(
        dataset,
        batch_size=size,
        batch_gpu=per_gpu,
        rounds=rounds,
        seed=seed,
        start=state.num_clips,
        device=state.device,
        num_workers=config.loader.num_workers,
        prefetch_factor=config.loader.prefetch_factor,
        skip_bad_frames=config.machine.on_bad_frame == "skip",
    )
    ada = None
    if config.ada.target is not None:
        ada = AdaptiveAugmentation(target=config.ada.target, kimg=config.ada.kimg, batch_size=size)
    return GanStep(
        state,
        batches,
        dataset,
        batch_size=size,
        batch_gpu=per_gpu,
        rounds=rounds,
        g_reg_interval=config.generator_optimizer.reg_interval,
        d_reg_interval=config.discriminator_optimizer.reg_interval,
        ema=ExponentialMovingAverage(kimg=config.average.kimg, rampup=config.average.rampup, batch_size=size),
        ada=ada,
        health=health,
        seed=seed,
        processes=processes,
    )


def _observers(
    config: RunConfig,
    run_dir: Path,
    state: TrainingState,
    dataset: SparseVideoDataset,
    dataset_kwargs: dict[str, Any],
    processes: Processes,
) -> Observers:
    """Make the observers of a run."""
    metrics = SnapshotMetrics(config.schedule.metrics, run_dir, dataset_kwargs, state.device, processes)
    return Observers(run_dir, state, dataset, metrics, seed=config.machine.random_seed, leads=processes.leads)
