"""What is true of every loss, by the name that users type: free of torch, so that help and checks are instant."""

from dataclasses import dataclass

__all__ = ["LOSS_FACTS", "LossFacts"]


@dataclass(frozen=True)
class LossFacts:
    """One loss that a model can be trained with.

    Attributes:
        name: what users type.
        summary: one line for help.
        soft_minimiser: where the minimum lies for soft targets, in one sentence.
        uses_gamma: whether gamma changes the loss.
        uses_alpha: whether alpha changes the loss.
        alpha_on_negatives: whether alpha weighs negatives; otherwise it weighs positives.
        elementwise: whether each class is judged on its own, with targets of the shape of the logits: only then can
            the loss stand where a per-class BCE does. The others take class indices.
    """

    name: str
    summary: str
    soft_minimiser: str
    uses_gamma: bool = True
    uses_alpha: bool = True
    alpha_on_negatives: bool = False
    elementwise: bool = True


_FACTS = (
    LossFacts(
        "bce",
        "binary cross-entropy, what stock training uses",
        "the minimum for a soft target t is at p = t",
        uses_gamma=False,
        uses_alpha=False,
    ),
    LossFacts(
        "focal",
        "focal loss: cross-entropy times (1 - p_t)^gamma, alpha on positives and 1 - alpha on negatives",
        "the minimum for a soft target t is further from 1/2 than t (gamma 1.5: t 0.7 gives p 0.846)",
    ),
    LossFacts(
        "qfl",
        "quality focal loss: cross-entropy times |p - t|^gamma, made for soft targets",
        "the minimum for a soft target t is at p = t",
    ),
    LossFacts(
        "vfl",
        "varifocal loss: positives weighted by their target, alpha p^gamma on negatives only",
        "the minimum for a soft target t is at p = t",
        alpha_on_negatives=True,
    ),
    LossFacts(
        "asl",
        "asymmetric loss: gamma on negatives only, and none of those below p = 0.05",
        "the minimum for a soft target t is not at p = t (gamma 2: t 0.3 gives p 0.161, 0.7 0.809)",
        uses_alpha=False,
    ),
    LossFacts(
        "mal",
        "matchability-aware loss: target t^gamma on positives, alpha p^gamma on negatives",
        "the minimum for a soft target t is at p = t^gamma",
        alpha_on_negatives=True,
    ),
    LossFacts(
        "poly",
        "poly-1 focal loss: focal plus (1 - p_t)^(gamma + 1)",
        "the minimum for a soft target t is further from 1/2 than t",
    ),
    LossFacts(
        "efl",
        "equalized focal loss: focal, with a larger gamma and weight for classes that get mostly negatives",
        "the minimum for a soft target t is further from 1/2 than t, the more so the larger the gamma",
    ),
    LossFacts(
        "softmax",
        "softmax focal loss, for classes that exclude each other (classification, semantic segmentation)",
        "targets are class indices; label smoothing moves the minimum to less confident predictions",
        elementwise=False,
    ),
)

LOSS_FACTS: dict[str, LossFacts] = {facts.name: facts for facts in _FACTS}
