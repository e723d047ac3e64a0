"""What a comparison is about to do: said before it starts, and all that a dry run does."""

from dataclasses import dataclass

from yolo_focal.comparison.plan import Plan
from yolo_focal.comparison.trial import Trial, seconds_of

__all__ = ["Outlook", "duration"]


@dataclass(frozen=True)
class Outlook:
    """The trials of a comparison, done and to be done.

    Attributes:
        plan: the comparison.
        finished: configuration and seed of the trials that will not be repeated.
        keep: the weights that stay of each trial: `last`, `best`, `all` or `none`.
    """

    plan: Plan
    finished: frozenset[tuple[str, int]]
    keep: str

    @property
    def missing(self) -> list[Trial]:
        """The trials to carry out, in their order."""
        return [trial for trial in self.plan.trials() if (trial.configuration, trial.seed) not in self.finished]

    @property
    def seconds(self) -> float | None:
        """How long the missing trials would train one after the other, at the pace of those that are finished."""
        known = [
            seconds_of(trial.folder)
            for trial in self.plan.trials()
            if (trial.configuration, trial.seed) in self.finished
        ]
        paces = [seconds for seconds in known if seconds is not None]
        return len(self.missing) * sum(paces) / len(paces) if paces else None

    def text(self) -> str:
        """Configurations, number of trials, what is done already, and the settings they share."""
        plan, missing = self.plan, len(self.missing)
        trials = len(plan.trials())
        counted = f"{len(plan.configurations)} configurations x {len(plan.seeds)} seed{'s' * (len(plan.seeds) > 1)}"
        settings = " ".join(f"{name}={value}" for name, value in plan.training.items() if value is not None)
        lines = [f"{each.name}: {each}{self._done_before(each.name)}" for each in plan.configurations]
        lines += [
            f"{counted} ({', '.join(map(str, plan.seeds))}) = {trials} trials, {missing} of them to do{self._time()}"
        ]
        lines += [f"each with model={plan.model} data={plan.data} {settings}"]
        lines += [
            f"evaluated on {plan.split.name}, {plan.split.images} images; weights that stay: {_WEIGHTS[self.keep]}"
        ]
        return "\n".join(lines)

    def _done_before(self, configuration: str) -> str:
        seeds = [str(seed) for seed in self.plan.seeds if (configuration, seed) in self.finished]
        return f"; finished before: seed {', '.join(seeds)}" if seeds else ""

    def _time(self) -> str:
        return f", {duration(self.seconds)} one after the other" if self.seconds else ""


_WEIGHTS = {
    "last": "last.pt of each trial",
    "best": "best.pt of each trial",
    "all": "last.pt and best.pt of each trial",
    "none": "none",
}


def duration(seconds: float) -> str:
    """In the unit that suits it."""
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
