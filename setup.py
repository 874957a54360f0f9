"""Packaging of stylegan_v_ext; tool settings live in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = re.search(r'__version__ = "([^"]+)"', (here / "stylegan_v_ext" / "__init__.py").read_text())[1]

setup(
    name="stylegan_v_ext",
    version=version,
    description="StyleGAN-V, a continuous-time video GAN, alone or inside StyleGAN2-ADA / StyleGAN3 checkouts",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["stylegan_v_ext*", "torch_utils*", "dnnlib*", "patches*"]),
    package_data={"stylegan_v_ext": ["py.typed"], "torch_utils.ops": ["*.cu", "*.cuh"]},
    keywords=["StyleGAN-V", "video generation", "GAN", "StyleGAN2", "StyleGAN3", "PyTorch"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Operating System :: MacOS",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    install_requires=[
        # The oldest version that the tests run on; 2.4 loses gradients with --compile.
        "torch>=2.11",
        "numpy",
        "click>=8.2",
        "pillow",
        "simplejpeg",
        # Reading videos, and writing them.
        "av>=18",
        "imageio-ffmpeg",
        "matplotlib",
        "psutil",
        "scipy",
        "requests",
        "safetensors",
    ],
    extras_require={
        "tensorboard": ["tensorboard"],
        # Text-guided editing and the interactive page.
        "clip": ["transformers>=4.56", "pyyaml"],
        "view": ["gradio>=5"],
        # Data sets at s3://, gs:// and https:// addresses.
        "remote": ["fsspec[http,s3,gcs]"],
        # The Python side of NVRTC, which newer CUDA builds of PyTorch bring themselves.
        "cuda": ["cuda-bindings"],
        "dev": [
            "pytest",
            "pytest-xdist",
            "hypothesis",
            "mpmath",
            "ruff",
            "mypy",
            "types-requests",
            "scikit-video",
            "types-pyyaml",
            # What the tests of the extras above need.
            "transformers>=4.56",
            "pyyaml",
            "gradio>=5",
            "playwright",
            "cuda-bindings; sys_platform == 'linux'",
            "nvidia-cuda-nvrtc; sys_platform == 'linux'",
        ],
    },
    entry_points={"console_scripts": ["stylegan-v=stylegan_v_ext.cli.main:main"]},
)
