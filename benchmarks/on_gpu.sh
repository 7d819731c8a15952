#!/usr/bin/env bash
# What only a GPU can show, in parts that end by themselves: 25 minutes in all.
#
#   benchmarks/on_gpu.sh here     where there is a network: what the parts need
#   benchmarks/on_gpu.sh PART …   where the GPU is; tables and pictures to $OUT
#
# --tiny before either is for trying them anywhere.
#
# part         seconds  what it writes
# sampling         420  sampling_on_gpu.md    the headline; every schedule, batch, profile
# training         330  training_on_gpu.md    base and large, remat on and off, profile
# learning         300  learning.md, pictures Moving MNIST beside its bound; real video
# acceptance       150  acceptance.md         guesses that hold, of the model just trained
# evaluation        90  evaluation_on_gpu.md  I3D's clips/s, the constants of FVD
# faults           210  faults_on_gpu.md      resume bit for bit, too little memory
#
# Each part is of use by itself, its first rows most; `acceptance` comes after `learning`,
# in the same call or on the same machine. `here` needs svt with the extras demo, fvd and
# test. It fills .on_gpu: base (22 MB) and av (35 MB), to be taken along, and i3d.ckpt
# (50 MB), of use to `evaluation` alone, which needs no av and of base neither prepared nor
# digits. The machine of the GPU needs Python and jax for CUDA; packages that are missing
# there come from .on_gpu. ffmpeg does not: films are drawn afterwards, from the samples
# that come back: tar -xf samples.tar && svt render demo_samples --format gif
set -uo pipefail
cd "$(dirname "$0")/.."

base=.on_gpu/base
out=${OUT:-benchmarks/results/gpu}
work=${WORK:-${TMPDIR:-/tmp}/svt_on_gpu}
python_there=${PYTHON_THERE:-3.12}
tiny=()

here() {
    rm -rf .on_gpu && mkdir -p "$base/wheels"
    python3 benchmarks/learning.py --digits "$base/digits" --work "$base/prepared" "${tiny[@]}" ||
        exit 1
    rm -rf "$base/prepared/compiled" "$base"/prepared/*.log
    python3 - >"$base/requirements.txt" <<'PYTHON'
import tomllib
from pathlib import Path

needs = tomllib.loads(Path("pyproject.toml").read_text())["project"]["dependencies"]
print(*(need for need in needs if not need.startswith(("av>", "imageio"))), sep="\n")
print("scikit-video==1.1.11")
PYTHON
    local there=(--python-version "$python_there" --implementation cp)
    local libc
    for libc in 2_28 2_27 2_24 2_17; do there+=(--platform "manylinux_${libc}_x86_64"); done
    there+=(--platform manylinux2014_x86_64 --only-binary=:all: -q)
    pip download "${there[@]}" -d "$base/wheels" --no-deps \
        annotated-types array-record cloudpickle 'flax>=0.12.1,<0.13' google-crc32c 'grain>=0.2.18,<0.3' \
        'optax>=0.2.5' 'orbax-checkpoint>=0.12.3,<0.13' pebble platformdirs pooch portpicker \
        scikit-video==1.1.11 typing-inspection || exit 1
    pip download "${there[@]}" -d "$base/wheels" 'pydantic>=2.10' || exit 1
    pip download "${there[@]}" -d .on_gpu/av --no-deps 'av>=14' || exit 1
    python3 - .on_gpu/i3d.ckpt <<'PYTHON' || exit 1
import shutil
import sys

from svtcli.evaluate.weights import I3D_WEIGHTS
from svtcli.evaluate.weights import weights_file

shutil.copyfile(weights_file(I3D_WEIGHTS, None), sys.argv[1])
PYTHON
    du -sh .on_gpu/*
}

# What is missing here, or of another version than svt takes, is put beside the rest.
use_python() {
    export PYTHONPATH=$PWD XLA_PYTHON_CLIENT_MEM_FRACTION=.92 PYTHONUNBUFFERED=1
    export SVT_CACHE=$work/cache
    [ -d "$base/wheels" ] || return 0
    local wheels
    wheels=$(python3 - "$base" <<'PYTHON'
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

base = Path(sys.argv[1])
needs = map(Requirement, (base / "requirements.txt").read_text().splitlines())
wanted = {canonicalize_name(need.name): need.specifier for need in needs}
for wheel in [*base.glob("wheels/*.whl"), *base.parent.glob("av/*.whl")]:
    name, *_ = parse_wheel_filename(wheel.name)
    try:
        here = metadata.version(name)
    except metadata.PackageNotFoundError:
        print(wheel)
        continue
    if name in wanted and here not in wanted[name]:
        print(wheel)
PYTHON
    ) || exit 1
    [ -z "$wheels" ] || python3 -m pip install -q --no-index --no-deps --no-compile \
        --disable-pip-version-check --upgrade --target "$work/site" $wheels || exit 1
    export PYTHONPATH=$PWD:$work/site
}

# A part may take so many seconds; half a minute later it is ended.
part() {
    local limit=$1 page=$2
    shift 2
    echo "== $page (at most $limit s)"
    local begun=$SECONDS
    timeout --kill-after=10 $((limit + 30)) python3 "$@" "${tiny[@]}" >"$out/$page" || failed+=("$page")
    cat "$out/$page"
    echo "== $page: $((SECONDS - begun)) s"
}

run() {
    case $1 in
        sampling) part 420 sampling_on_gpu.md benchmarks/sampling_on_gpu.py --seconds 420 ;;
        training) part 330 training_on_gpu.md benchmarks/training_on_gpu.py --seconds 330 ;;
        learning)
            [ -d "$work/learning" ] || cp -r "$base/prepared" "$work/learning"
            part 300 learning.log benchmarks/learning.py --out "$out" --work "$work/learning" \
                --digits "$base/digits" --seconds "${LEARNING_SECONDS:-300}"
            bring_samples
            ;;
        acceptance)
            local root=$PWD log=$PWD/$out
            [ "${out#/}" = "$out" ] || log=$out
            echo "== acceptance.md (at most 150 s)"
            (cd "$work/learning" && timeout --kill-after=10 150 \
                python3 "$root/benchmarks/sampling.py" runs/demo_gpu --chip) >"$log/acceptance.md"
            [ $? -eq 0 ] || [ $? -eq 124 ] || failed+=(acceptance.md)
            cat "$log/acceptance.md"
            ;;
        evaluation)
            part 90 evaluation_on_gpu.md benchmarks/evaluation.py --chip --i3d .on_gpu/i3d.ckpt ;;
        faults)
            part 210 faults_on_gpu.md benchmarks/faults_on_gpu.py --work "$work/faults" \
                --digits "$base/digits" --seconds 210
            ;;
        *) echo "no part: $1" >&2 && exit 2 ;;
    esac
}

# The samples of both runs: films are drawn from them where there is ffmpeg.
bring_samples() {
    local name newest
    rm -rf "$work/samples" && mkdir "$work/samples"
    for name in mnist demo; do
        newest=$(ls -td "$work/learning/runs/${name}_gpu/samples"/*/ 2>/dev/null | head -1)
        [ -z "$newest" ] || cp -r "$newest" "$work/samples/${name}_samples"
    done
    tar -cf "$out/samples.tar" -C "$work/samples" .
}

if [ "${1:-}" = --tiny ]; then
    tiny=(--tiny)
    shift
fi
if [ "${1:-}" = here ]; then
    here
    exit
fi
[ $# -gt 0 ] || { sed -n '2,/^set/p' "$0" | sed '$d;s/^# \{0,1\}//'; exit 2; }
mkdir -p "$out" "$work"
failed=()
use_python
for name; do run "$name"; done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
