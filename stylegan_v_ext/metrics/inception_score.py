"""Inception score (arXiv 1606.03498): are single samples clear, and are all samples together varied?"""

import numpy as np

SPLITS = 10
SHUFFLE_SEED = 42


def inception_score(probabilities: np.ndarray, splits: int = SPLITS, *, shuffle: bool = False) -> tuple[float, float]:
    """Return mean and standard deviation over splits of exp(E_x KL(p(y|x) || p(y))).

    Args:
        probabilities: Class probabilities p(y|x) `[N, K]`.
        splits: Number of parts that the samples are split into.
        shuffle: Shuffle the samples with a fixed seed first, as the score of videos does.

    Returns:
        Mean and standard deviation.

    Raises:
        ValueError: If there are fewer samples than splits.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if len(probabilities) < splits:
        raise ValueError(
            f"an inception score in {splits} parts takes that many samples, there are {len(probabilities)}"
        )
    if shuffle:
        probabilities = probabilities[np.random.RandomState(SHUFFLE_SEED).permutation(len(probabilities))]
    edges = np.arange(splits + 1) * len(probabilities) // splits
    scores = [_score(probabilities[begin:end]) for begin, end in zip(edges, edges[1:], strict=False)]
    return float(np.mean(scores)), float(np.std(scores))


def _score(probabilities: np.ndarray) -> float:
    """Return exp(E_x KL(p(y|x) || p(y))) of one split."""
    marginal = probabilities.mean(0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 log 0 is 0
        terms = np.where(probabilities > 0, probabilities * (np.log(probabilities) - np.log(marginal)), 0)
    return float(np.exp(terms.sum(1).mean()))
