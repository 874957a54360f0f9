"""Launching kernels through a driver of our own making: contexts, devices, parameters, errors."""

import ctypes
import threading

import pytest
import torch

from torch_utils import custom_ops, self_check


class Driver:
    """The functions of cuda.bindings.driver that launching uses; a context a thread, results as tuples."""

    def __init__(self, error=0):
        self.local, self.launches, self.error, self.bound = threading.local(), [], error, []

    def cuCtxGetCurrent(self):
        return 0, getattr(self.local, "context", 0)

    def cuDeviceGet(self, ordinal):
        return 0, 100 + ordinal

    def cuDevicePrimaryCtxRetain(self, handle):
        return 0, 1000 + handle

    def cuCtxSetCurrent(self, context):
        self.local.context = context
        self.bound.append(context)
        return (0,)

    def cuLaunchKernel(self, function, *arguments):
        pointers = ctypes.cast(arguments[8], ctypes.POINTER(ctypes.c_void_p))
        params = ctypes.cast(pointers[0], ctypes.POINTER(Params)).contents
        self.launches.append((function, arguments[:8], params.value, self.local.context))
        return (self.error,)


class Params(ctypes.Structure):
    _fields_ = [("value", ctypes.c_int)]


@pytest.fixture
def cuda(monkeypatch):
    """PyTorch as if it had two devices."""
    current = [0]

    class Guard:
        def __init__(self, index):
            self.index = index

        def __enter__(self):
            self.before, current[0] = current[0], self.index

        def __exit__(self, *details):
            current[0] = self.before

    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[0])
    monkeypatch.setattr(torch.cuda, "device", Guard)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: type("Stream", (), {"cuda_stream": 7 + device}))
    return current


def test_a_launch_passes_its_sizes_stream_and_parameters(cuda):
    driver = Driver()
    custom_ops.Kernel("f", driver)(Params(42), 3, 256, 0, 1024)
    assert driver.launches == [("f", (3, 1, 1, 256, 1, 1, 1024, 7), 42, 1100)]


def test_threads_without_a_context_get_the_devices_own_once(cuda):
    driver = Driver()
    kernel = custom_ops.Kernel("f", driver)

    def twice():
        kernel(Params(1), 1, 1, 0)
        kernel(Params(2), 1, 1, 0)

    thread = threading.Thread(target=twice)
    thread.start()
    thread.join()
    twice()
    assert driver.bound == [1100, 1100]
    assert [launch[2] for launch in driver.launches] == [1, 2, 1, 2]


def test_a_tensor_of_another_device_is_launched_there_and_the_current_one_comes_back(cuda):
    driver = Driver()
    custom_ops.Kernel("f", driver)(Params(1), 1, 1, 1)
    assert driver.launches[0][1][7] == 8 and driver.launches[0][3] == 1101
    assert cuda[0] == 0


def test_a_launch_that_fails_is_an_error(cuda):
    with pytest.raises(RuntimeError, match="could not be launched: 701"):
        custom_ops.Kernel("f", Driver(error=701))(Params(1), 1, 1, 0)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (custom_ops.KernelUnavailable("cuda-bindings is not installed"), "cuda-bindings is not installed"),
        (AttributeError("module has no attribute 'cuLaunchKernel'"), "AttributeError: module has no"),
        (RuntimeError(), "RuntimeError: no message"),
    ],
)
def test_whatever_is_wrong_the_references_run_after_one_warning(monkeypatch, error, words):
    def fail(device):
        raise error

    monkeypatch.setattr(self_check, "problem", fail)
    monkeypatch.setattr(custom_ops, "_problems", {})
    with pytest.warns(UserWarning, match=f"ops run without CUDA kernels, several times slower: {words}"):
        assert custom_ops.problem(0).startswith(words)
    assert custom_ops.problem(0).startswith(words)  # without another warning


def test_an_op_that_is_imported_later_is_checked_before_its_first_use(monkeypatch):
    monkeypatch.setattr(self_check, "CHECKS", {"first": lambda device: 0.0})
    monkeypatch.setattr(custom_ops, "_problems", {})
    assert custom_ops.problem(0) is None
    self_check.register("second")(lambda device: 0.5)
    with pytest.warns(UserWarning, match="the kernel of second is off by 0.5 on cuda:0"):
        assert "second" in custom_ops.problem(0)


def test_a_device_whose_kernels_agree_has_no_problem(monkeypatch):
    monkeypatch.setattr(self_check, "problem", lambda device: None)
    monkeypatch.setattr(custom_ops, "_problems", {})
    assert custom_ops.problem(0) is None
