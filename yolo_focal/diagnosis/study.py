"""What the study of docs/evidence.md found, in words for advice; a test holds the numbers to its raw results."""

__all__ = [
    "FOCAL_IN_THE_STUDY",
    "NMS_FREE_IN_THE_STUDY",
    "NMS_FREE_POINTS",
    "RARE_AP_POINTS",
    "RARE_IN_THE_STUDY",
    "RARE_THIRD_POINTS",
]

# Differences to BCE of cfg=rare in trainings from scratch where sampling could act, in points of AP: the least and the
# most of the means over seeds.
RARE_AP_POINTS = (1, 8)
RARE_THIRD_POINTS = (2, 20)  # of the rarest third of the classes

RARE_IN_THE_STUDY = (
    "in this package's study it gained {} to {} points of AP and {} to {} on the rarest third of the classes".format(
        *RARE_AP_POINTS, *RARE_THIRD_POINTS
    )
)
FOCAL_IN_THE_STUDY = "no focal loss was shown to be better than BCE in this package's study (docs/evidence.md)"

NMS_FREE_POINTS = 3  # of AP that focal loss on both branches was below BCE on the one without NMS, in both models
NMS_FREE_IN_THE_STUDY = f"in this package's study focal loss was {NMS_FREE_POINTS} points of AP below BCE on it"
