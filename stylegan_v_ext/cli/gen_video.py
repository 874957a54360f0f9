"""`gen_video.py` and `stylegan-v generate`: videos from a snapshot."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import click

from stylegan_v_ext.cli.common import device_to_use
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.errors import UserError, report_user_errors
from stylegan_v_ext.cli.generation_options import video_options
from stylegan_v_ext.cli.network_options import SETTINGS, device_option, network_option
from stylegan_v_ext.cli.reading import nan_option, trust_option
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.cli.terminal import Terminal, request_of, usage_errors
from stylegan_v_ext.generate.request import VideoRequest

if TYPE_CHECKING:
    from stylegan_v_ext.generate.plan import PlannedVideo

_EPILOG = """
\b
Examples:
  python gen_video.py --network=runs/00000-stylegan-v-demo --seeds=0-7
  python gen_video.py --network=snapshot.pkl --seeds=0-7 --grid=4x2 --output=grid.mp4
  python gen_video.py --network=snapshot.pkl --seeds=3 --motion-seeds=0-4 --speed=0.25 --duration=20
  python gen_video.py --network=snapshot.pkl --seeds=3 --start=1000000 --frames=64
\b
Content and motion:
  ... --seeds=0-3 --motion-seeds=0-2 --decompose --output=grid.mp4     columns share content, rows motion
  ... --seeds=0,5,9 --interpolate --loop --frames=300                  from content to content, and back
  ... --projection=projection.npz --frames=240 --speed=0.5             a clip of `stylegan-v project` goes on
  ... --seeds=0-7 --motion-from=projection.npz                         its motion for other contents
\b
Looks:
  ... --seeds=3 --mix-seed=8 --mix-layers=32-64 --mix-weight=0:0,127:1 styles of seed 8 fade in
  ... --seeds=3 --trunc=0:0,64:1                                       from the average to seed 3
  ... --seeds=3 --direction=directions.npz:2 --strength=0:-2,127:2     along one of `stylegan-v directions`
"""


@click.command(cls=Command, epilog=_EPILOG, context_settings=SETTINGS)
@network_option("Checkpoint of any known format, a run folder or a URL", group="Network")
@video_options
@click.option("--bf16", help="Compute in bfloat16, on CPUs with AMX: twice as fast, most colours the same", cls=Switch)
@device_option()
@trust_option
@nan_option
@report_user_errors
def gen_video(network: str, *, device: str, bf16: bool, trust_pickle: bool, allow_nan: bool, **options: object) -> None:
    """Generate videos of any length, from any start time, at any speed.

    A video is named by its content seed and its motion seed: the same two always give the same video.
    Frames go to the encoder as they are made, so an hour needs no more memory than a second. Under torchrun the
    processes deal out the videos among themselves.
    """
    from stylegan_v_ext.device import pick_device
    from stylegan_v_ext.distributed import own_share
    from stylegan_v_ext.generate.opening import open_network
    from stylegan_v_ext.generate.plan import plan_videos

    with usage_errors():
        request = request_of(VideoRequest, options)
    rank, num_processes, own_device = own_share(str(device_to_use(device)))
    terminal = Terminal(ask=num_processes == 1)
    for note in request.notes:
        terminal.note(f"Note: {note}")
    with _precision(own_device, bfloat16=bf16):
        opened = open_network(network, trust_pickle=trust_pickle, allow_nan=allow_nan, listener=terminal)
        with usage_errors():
            planned = plan_videos(opened.sampler(pick_device(own_device)), request, network)
        inputs = [network, *request.projections, request.motion_from]
        terminal.will_write([item.path for item in planned if not item.is_folder], inputs=inputs)
        for item in planned[rank::num_processes]:
            _write(item, request, terminal)


def _precision(device: str, *, bfloat16: bool) -> AbstractContextManager[None]:
    """Return a context in which networks compute as --bf16 says."""
    from stylegan_v_ext.execution import execution
    from stylegan_v_ext.networks import precision

    if not bfloat16:
        return nullcontext()
    if device != "cpu" or not precision.has_fast_bfloat16():
        raise UserError(f"--bf16=1 on {device}: it is for CPUs with AMX, and a PyTorch that knows; leave --bf16 out")
    return execution(bfloat16_on_cpu=True)


def _write(item: "PlannedVideo", request: VideoRequest, terminal: Terminal) -> None:
    with terminal.progress(item.path.name, len(item.video)) as advance:
        path = item.video.write(item.path, codec=request.codec, quality=request.quality, progress=advance)
    terminal.written(path)
