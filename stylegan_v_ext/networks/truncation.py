"""The truncation trick: trade variety for quality (StyleGAN, appendix B)."""

import torch

__all__ = ["truncate"]


def truncate(ws: torch.Tensor, w_avg: torch.Tensor, psi: float, cutoff: int | None = None) -> torch.Tensor:
    """Pull the first rows of styles towards the average: w' = w_avg + psi (w - w_avg).

    Args:
        ws: Styles `[N, num_ws, w_dim]`.
        w_avg: The average style `[w_dim]`.
        psi: 1 changes nothing, 0 gives the average.
        cutoff: Number of rows to pull; None pulls all rows.

    Returns:
        Styles `[N, num_ws, w_dim]`.
    """
    if psi == 1:
        return ws
    cut = ws.shape[1] if cutoff is None else cutoff
    return torch.cat([w_avg.lerp(ws[:, :cut], psi), ws[:, cut:]], dim=1)
