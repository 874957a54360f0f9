"""Pickles in the layouts of other codebases, written without them, from state dicts."""

import collections
import pickle
import sys
import types
from contextlib import contextmanager

import numpy as np
import torch

from torch_utils import persistence

SOURCE = "raise SystemExit('embedded source was run')"


class Persistent:
    """Pickled as the record of a persistent module."""

    def __init__(self, class_name, source=SOURCE, **attributes):
        self.class_name, self.source = class_name, source
        self.state = {
            "training": False, "_parameters": collections.OrderedDict(), "_buffers": collections.OrderedDict(),
            "_modules": collections.OrderedDict(), "_init_args": (), "_init_kwargs": {}, **attributes,
        }  # fmt: skip

    def __reduce__(self):
        record = {
            "type": "class", "version": 6, "module_src": self.source, "class_name": self.class_name,
            "state": self.state,
        }  # fmt: skip
        return persistence._reconstruct_persistent_obj, (record,)


def module_tree(class_name, state, attributes=None, init_kwargs=None):
    """Nested records with these tensors. attributes: by dotted module name, then by name."""
    root = Persistent(class_name, _init_kwargs=init_kwargs or {})
    attributes = attributes or {}
    modules = {"": root}

    def module(path):
        if path not in modules:
            head, _, name = path.rpartition(".")
            modules[path] = module(head).state["_modules"][name] = Persistent("Part")
        return modules[path]

    for name, tensor in state.items():
        path, _, leaf = name.rpartition(".")
        parameter = leaf in ("weight", "bias", "const", "noise_strength")
        kind = "_parameters" if parameter else "_buffers"
        module(path).state[kind][leaf] = torch.nn.Parameter(tensor) if parameter else tensor
    for path, values in attributes.items():
        module(path).state.update(values)
    return root


def write(path, protocol=4, **networks):
    """A pickle as NVLabs' training loops write it."""
    content = {"G": None, "D": None, "G_ema": None, "augment_pipe": None, "training_set_kwargs": None, **networks}
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


# TensorFlow.


@contextmanager
def tensorflow_network():
    """The class `dnnlib.tflib.network.Network`, as far as pickles see it."""

    class Network:
        def __init__(self, **state):
            self.state = state

        def __getstate__(self):
            return self.state

    Network.__module__, Network.__qualname__ = "dnnlib.tflib.network", "Network"
    fakes = {"dnnlib.tflib": types.ModuleType("dnnlib.tflib"), "dnnlib.tflib.network": types.ModuleType("network")}
    fakes["dnnlib.tflib.network"].Network = Network
    sys.modules.update(fakes)
    try:
        yield Network
    finally:
        for name in fakes:
            del sys.modules[name]


def tensorflow_generator(Network, state, **static_kwargs):
    """A TensorFlow network that holds a StyleGAN2 generator's tensors in its own layout."""
    variables = {"": [("lod", np.float32(0))], "synthesis": [], "mapping": []}
    for name, tensor in state.items():
        array, parts = tensor.numpy(), name.split(".")
        if name == "mapping.w_avg":
            variables[""].append(("dlatent_avg", array))
        elif parts[0] == "mapping":
            layer = "LabelEmbed" if parts[1] == "embed" else f"Dense{parts[1][2:]}"
            variables["mapping"].append((f"{layer}/{parts[2]}", array.T))
        elif parts[-1] != "resample_filter":
            variables["synthesis"].append(_tensorflow_synthesis(parts, array))
    components = {
        part: Network(version=4, name=part, static_kwargs={}, components={}, build_module_src=SOURCE, variables=rows)
        for part, rows in variables.items()
        if part
    }
    return Network(
        version=4, name="G", static_kwargs={"architecture": "skip", **static_kwargs}, components=components,
        build_module_src=SOURCE, build_func_name="G_main", variables=variables[""],
    )  # fmt: skip


def _tensorflow_synthesis(parts, array):
    size = int(parts[1][1:])
    if parts[2] == "const":
        return "4x4/Const/const", array[None]
    index = 2 * int(np.log2(size)) - {"conv0": 5, "conv1": 4}.get(parts[2], 0)
    if parts[3] == "noise_const":
        return f"noise{index if size > 4 else 0}", array[None, None]
    layer = {"conv0": "Conv0_up", "conv1": "Conv1" if size > 4 else "Conv", "torgb": "ToRGB"}[parts[2]]
    prefix = f"{size}x{size}/{layer}"
    if parts[3] == "affine":
        return f"{prefix}/mod_{parts[4]}", array.T if parts[4] == "weight" else array - 1
    if parts[3] == "weight":
        kernel = array.transpose(2, 3, 1, 0)
        return f"{prefix}/weight", kernel[::-1, ::-1] if parts[2] == "conv0" else kernel
    return f"{prefix}/{parts[3]}", array


def tensorflow_discriminator(Network, state, **static_kwargs):
    variables = [("lod", np.float32(0))]
    ends = {"conv": "4x4/Conv", "fc": "4x4/Dense0", "out": "Output"}
    inner = {"fromrgb": "FromRGB", "conv0": "Conv0", "conv1": "Conv1_down", "skip": "Skip"}
    for name, tensor in state.items():
        array, parts = tensor.numpy(), name.split(".")
        if parts[-1] == "resample_filter":
            continue
        if parts[0] == "mapping":
            layer = "LabelEmbed" if parts[1] == "embed" else f"Mapping{parts[1][2:]}"
        elif parts[0] == "b4":
            layer = ends[parts[1]]
        else:
            size = parts[0][1:]
            layer = f"{size}x{size}/{inner[parts[1]]}"
        variables.append((f"{layer}/{parts[2]}", array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T))
    return Network(
        version=4, name="D", static_kwargs=static_kwargs, components={}, build_module_src=SOURCE, variables=variables
    )


# rosinality.


_G_PARTS = {
    "weight": "conv.weight", "affine.weight": "conv.modulation.weight", "affine.bias": "conv.modulation.bias",
    "bias": "activate.bias", "noise_strength": "noise.weight",
}  # fmt: skip


def rosinality_generator(state):
    """A StyleGAN2 generator's tensors under rosinality's names and shapes."""
    result = {}
    for name, tensor in state.items():
        pieces = name.split(".")
        if name == "mapping.w_avg":
            continue
        if pieces[0] == "mapping":
            result[f"style.{int(pieces[1][2:]) + 1}.{pieces[2]}"] = tensor
        else:
            result |= _rosinality_synthesis(pieces, tensor)
    return result


def _rosinality_synthesis(pieces, tensor):
    size, rest = int(pieces[1][1:]), ".".join(pieces[3:])
    octave = int(np.log2(size)) - 3
    if pieces[2] == "const":
        return {"input.input": tensor[None]}
    if pieces[2] == "resample_filter":
        return {f"to_rgbs.{max(octave, 0)}.upsample.kernel": tensor * 4}
    if pieces[2] == "torgb":
        layer = "to_rgb1" if size == 4 else f"to_rgbs.{octave}"
        if rest == "bias":
            return {f"{layer}.bias": tensor.reshape(1, 3, 1, 1)}
        return {f"{layer}.{_G_PARTS[rest]}": tensor[None] if rest == "weight" else tensor}
    index = 0 if size == 4 else 2 * octave + (1 if pieces[2] == "conv0" else 2)
    layer = "conv1" if index == 0 else f"convs.{index - 1}"
    if rest == "noise_const":
        return {f"noises.noise_{index}": tensor[None, None]}
    if rest == "resample_filter":
        return {f"{layer}.conv.blur.kernel": tensor * 4}
    return {f"{layer}.{_G_PARTS[rest]}": tensor[None] if rest in ("weight", "noise_strength") else tensor}


_D_ENDS = {
    "conv.weight": "final_conv.0.weight", "conv.bias": "final_conv.1.bias", "fc.weight": "final_linear.0.weight",
    "fc.bias": "final_linear.0.bias", "out.weight": "final_linear.1.weight", "out.bias": "final_linear.1.bias",
}  # fmt: skip
_D_PARTS = {
    "conv0.weight": "conv1.0.weight", "conv0.bias": "conv1.1.bias", "conv1.weight": "conv2.1.weight",
    "conv1.bias": "conv2.2.bias", "skip.weight": "skip.1.weight",
}  # fmt: skip


def rosinality_discriminator(state):
    result = {}
    top = max(int(name[1 : name.index(".")]) for name in state)
    for name, tensor in state.items():
        block, _, rest = name.partition(".")
        if name.endswith("resample_filter"):
            continue
        if block == "b4":
            result[_D_ENDS[rest]] = tensor
        elif rest.startswith("fromrgb"):
            result[f"convs.0.{int(rest.endswith('bias'))}.{rest.split('.')[1]}"] = tensor
        else:
            result[f"convs.{int(np.log2(top // int(block[1:]))) + 1}.{_D_PARTS[rest]}"] = tensor
    return result
