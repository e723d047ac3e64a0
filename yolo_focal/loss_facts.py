"""What is true of every loss, by the name that users type: free of torch, so that help and checks are instant."""

from dataclasses import dataclass

__all__ = ["LOSS_FACTS", "LossFacts"]


@dataclass(frozen=True)
class LossFacts:
    """One loss that a model can be trained with.

    Attributes:
        name: what users type.
        summary: one line for help.
        uses_gamma: whether gamma changes the loss.
        uses_alpha: whether alpha changes the loss.
        elementwise: whether each class is judged on its own, with targets of the shape of the logits: only then can
            the loss stand where a per-class BCE does. The others take class indices.
        soft_minimiser: where the minimum lies for soft targets, in one sentence.
    """

    name: str
    summary: str
    uses_gamma: bool
    uses_alpha: bool
    elementwise: bool
    soft_minimiser: str


LOSS_FACTS: dict[str, LossFacts] = {
    "bce": LossFacts(
        name="bce",
        summary="binary cross-entropy, what stock training uses",
        uses_gamma=False,
        uses_alpha=False,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is at p = t",
    ),
    "focal": LossFacts(
        name="focal",
        summary="focal loss: cross-entropy times (1 - p_t)^gamma, alpha on positives and 1 - alpha on negatives",
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is further from 1/2 than t (gamma 1.5: t 0.7 gives p 0.846)",
    ),
    "qfl": LossFacts(
        name="qfl",
        summary="quality focal loss: cross-entropy times |p - t|^gamma, made for soft targets",
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is at p = t",
    ),
    "vfl": LossFacts(
        name="vfl",
        summary="varifocal loss: positives weighted by their target, alpha p^gamma on negatives only",
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is at p = t",
    ),
    "asl": LossFacts(
        name="asl",
        summary="asymmetric loss: gamma on negatives only, and none of those below p = 0.05",
        uses_gamma=True,
        uses_alpha=False,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is not at p = t (gamma 2: t 0.3 gives p 0.161, 0.7 0.809)",
    ),
    "mal": LossFacts(
        name="mal",
        summary="matchability-aware loss: target t^gamma on positives, alpha p^gamma on negatives",
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is at p = t^gamma",
    ),
    "poly": LossFacts(
        name="poly",
        summary="poly-1 focal loss: focal plus (1 - p_t)^(gamma + 1)",
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is further from 1/2 than t",
    ),
    "efl": LossFacts(
        name="efl",
        summary="equalized focal loss: focal, with a larger gamma and weight for classes that get mostly negatives",
        uses_gamma=True,
        uses_alpha=True,
        elementwise=True,
        soft_minimiser="the minimum for a soft target t is further from 1/2 than t, the more so the larger the gamma",
    ),
    "softmax": LossFacts(
        name="softmax",
        summary="softmax focal loss, for classes that exclude each other (classification, semantic segmentation)",
        uses_gamma=True,
        uses_alpha=True,
        elementwise=False,
        soft_minimiser="targets are class indices; label smoothing moves the minimum to less confident predictions",
    ),
}
