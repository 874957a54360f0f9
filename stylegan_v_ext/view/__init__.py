"""An interactive page: look at a network, play with it, take videos along.

serve(open_studio("network-snapshot-000048.pkl"), ready=print)
"""

from typing import TYPE_CHECKING

from stylegan_v_ext.lazy import lazy_names

__all__ = ["Controls", "Studio", "open_studio", "serve"]

if TYPE_CHECKING:
    from stylegan_v_ext.view.serving import open_studio, serve
    from stylegan_v_ext.view.studio import Controls, Studio
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Controls": "stylegan_v_ext.view.studio",
            "Studio": "stylegan_v_ext.view.studio",
            "open_studio": "stylegan_v_ext.view.serving",
            "serve": "stylegan_v_ext.view.serving",
        },
    )
