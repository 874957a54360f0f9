"""A training loop that asks of its classes what the stock ones do."""

import copy
import json
import os
import pickle

import legacy
import numpy as np
import PIL.Image
import torch
from metrics import metric_main

import dnnlib
from torch_utils import misc, training_stats
from torch_utils.ops import conv2d_gradfix, grid_sample_gradfix
from training.loss import StyleGAN2Loss

CODEBASE = "stylegan3" if os.path.exists(os.path.join(os.path.dirname(__file__), "networks_stylegan2.py")) else "ada"


def make_loss(device, G, D, augment_pipe, class_name, style_mixing_prob, pl_weight, **kwargs):
    """The named loss with the arguments that each codebase passes on."""
    loss = StyleGAN2Loss(device, G.mapping, G.synthesis, D, augment_pipe=augment_pipe, **kwargs)
    new = CODEBASE == "stylegan3"
    loss.mapping_kwargs = dict(update_emas=False) if new else {}
    loss.synthesis_kwargs = loss.D_kwargs = dict(update_emas=False) if new else {}
    return loss


def sheet(images, path, low, high):
    """Images `[N, C, H, W]` below one another, as a file."""
    pixels = ((np.asarray(images, dtype=np.float32) - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    rows = pixels.transpose(0, 2, 3, 1).reshape(-1, pixels.shape[3], pixels.shape[1])
    PIL.Image.fromarray(rows, "RGB").save(path)


def training_loop(
    run_dir, training_set_kwargs, data_loader_kwargs, G_kwargs, D_kwargs, G_opt_kwargs, D_opt_kwargs, loss_kwargs,
    augment_kwargs=None, metrics=(), random_seed=0, num_gpus=1, rank=0, batch_size=4, batch_gpu=4, ema_kimg=10,
    G_reg_interval=None, D_reg_interval=16, augment_p=0, ada_target=None, ada_kimg=500, total_kimg=1, kimg_per_tick=1,
    network_snapshot_ticks=50, resume_pkl=None, abort_fn=None,
):  # fmt: skip
    device = torch.device("cuda", rank)
    np.random.seed(random_seed * num_gpus + rank)
    torch.manual_seed(random_seed * num_gpus + rank)
    conv2d_gradfix.enabled = grid_sample_gradfix.enabled = True
    dataset = dnnlib.util.construct_class_by_name(**training_set_kwargs)
    sampler = misc.InfiniteSampler(dataset=dataset, rank=rank, num_replicas=num_gpus, seed=random_seed)
    batches = iter(
        torch.utils.data.DataLoader(dataset, sampler=sampler, batch_size=batch_size // num_gpus, **data_loader_kwargs)
    )
    common = dict(c_dim=dataset.label_dim, img_resolution=dataset.resolution, img_channels=dataset.num_channels)
    G = dnnlib.util.construct_class_by_name(**G_kwargs, **common).train().requires_grad_(False).to(device)
    D = dnnlib.util.construct_class_by_name(**D_kwargs, **common).train().requires_grad_(False).to(device)
    G_ema = copy.deepcopy(G).eval()
    if resume_pkl is not None and rank == 0:
        with dnnlib.util.open_url(resume_pkl) as file:
            for name, module in legacy.load_network_pkl(file).items():
                if name in ("G", "D", "G_ema"):
                    target = {"G": G, "D": D, "G_ema": G_ema}[name]
                    misc.copy_params_and_buffers(module, target, require_all=False)
    z, c = torch.empty([batch_gpu, G.z_dim], device=device), torch.empty([batch_gpu, G.c_dim], device=device)
    misc.print_module_summary(D, [misc.print_module_summary(G, [z, c]), c])
    augment_pipe = None
    if augment_kwargs is not None:
        augment_pipe = dnnlib.util.construct_class_by_name(**augment_kwargs).train().requires_grad_(False).to(device)
        augment_pipe.p.copy_(torch.as_tensor(augment_p))
    for module in (G, D, G_ema):
        for tensor in misc.params_and_buffers(module) if num_gpus > 1 else []:
            torch.distributed.broadcast(tensor, src=0)
    loss = make_loss(device, G, D, augment_pipe, **loss_kwargs)
    phases = []
    for name, module, kwargs, interval in (
        ("G", G, G_opt_kwargs, G_reg_interval),
        ("D", D, D_opt_kwargs, D_reg_interval),
    ):
        opt = dnnlib.util.construct_class_by_name(params=module.parameters(), **kwargs)
        phases.append(
            dnnlib.EasyDict(name=name + ("both" if interval is None else "main"), module=module, opt=opt, interval=1)
        )
        if interval is not None:
            phases.append(dnnlib.EasyDict(name=name + "reg", module=module, opt=opt, interval=interval))
    start = torch.cuda.Event(enable_timing=True)
    signs = training_stats.Collector(regex="Loss/signs/real")
    stats = training_stats.Collector(regex=".*")
    grid_z = torch.randn([2, G.z_dim], device=device)
    reals, grid_c = zip(*[dataset[i] for i in range(2)], strict=False)
    grid_c = torch.from_numpy(np.stack(grid_c)).to(device)
    labels = {tuple(dataset.get_details(i).raw_label.tolist()) for i in range(len(dataset))}
    assert len(labels) <= max(dataset.num_classes, 1) and dataset.has_labels == (dataset.num_classes > 0)
    sheet(np.stack(reals), os.path.join(run_dir, "reals.png"), 0, 255)
    num_clips = step = 0
    next_tick, tick = 0, 0
    while True:
        images, image_c = next(batches)
        images = (images.to(device).to(torch.float32) / 127.5 - 1).split(batch_gpu)
        image_c = image_c.to(device).split(batch_gpu)
        for phase in phases:
            if step % phase.interval:
                continue
            if start is not None:
                start.record(torch.cuda.current_stream(device))
            phase.opt.zero_grad(set_to_none=True)
            phase.module.requires_grad_(True)
            for real_img, real_c in zip(images, image_c, strict=False):
                gen_c = np.stack([dataset.get_label(np.random.randint(len(dataset))) for _ in range(batch_gpu)])
                gen_c = torch.from_numpy(gen_c).pin_memory().to(device)
                gen_z = torch.randn([batch_gpu, G.z_dim], device=device)
                loss.accumulate_gradients(phase.name, real_img, real_c, gen_z, gen_c, gain=phase.interval)
            phase.module.requires_grad_(False)
            for parameter in phase.module.parameters():
                if parameter.grad is not None:
                    if num_gpus > 1:
                        torch.distributed.all_reduce(parameter.grad)
                    misc.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
            phase.opt.step()
        for average, parameter in zip(G_ema.parameters(), G.parameters(), strict=False):
            average.copy_(parameter.lerp(average, 0.9))
        for average, buffer in zip(G_ema.buffers(), G.buffers(), strict=False):
            average.copy_(buffer)
        num_clips, step = num_clips + batch_size, step + 1
        if ada_target is not None and step % 4 == 0:
            signs.update()
            change = np.sign(signs["Loss/signs/real"] - ada_target) * batch_size * 4 / (ada_kimg * 1000)
            augment_pipe.p.copy_((augment_pipe.p + change).max(misc.constant(0, device=device)))
        done = num_clips >= total_kimg * 1000 or (abort_fn is not None and abort_fn())
        if not done and num_clips < next_tick:
            continue
        next_tick, tick = num_clips + kimg_per_tick * 1000, tick + 1
        torch.cuda.reset_peak_memory_stats()
        if rank == 0:
            sample = G_ema(z=grid_z, c=grid_c, noise_mode="const").cpu().numpy()
            sheet(sample, os.path.join(run_dir, f"fakes{num_clips // 1000:06d}.png"), -1, 1)
        data = dict(G=G, D=D, G_ema=G_ema, augment_pipe=augment_pipe, training_set_kwargs=dict(training_set_kwargs))
        for key, value in data.items():
            if isinstance(value, torch.nn.Module):
                if num_gpus > 1:
                    misc.check_ddp_consistency(value, ignore_regex=r".*\.[^.]+_(avg|ema)")
                data[key] = copy.deepcopy(value).eval().requires_grad_(False).cpu()
        name = f"network-snapshot-{num_clips // 1000:06d}.pkl"
        if rank == 0:
            with open(os.path.join(run_dir, name), "wb") as file:
                pickle.dump(data, file)
        for metric in metrics if done else ():
            result = metric_main.calc_metric(
                metric=metric, G=data["G_ema"], dataset_kwargs=training_set_kwargs, num_gpus=num_gpus, rank=rank,
                device=device,
            )  # fmt: skip
            if rank == 0:
                metric_main.report_metric(result, run_dir=run_dir, snapshot_pkl=os.path.join(run_dir, name))
        stats.update()
        if rank == 0:
            line = {key: value.mean for key, value in stats.as_dict().items()}
            line.update(num_clips=num_clips, p=0 if augment_pipe is None else float(augment_pipe.p))
            with open(os.path.join(run_dir, "stats.jsonl"), "a") as file:
                file.write(json.dumps(line) + "\n")
        if done:
            return
