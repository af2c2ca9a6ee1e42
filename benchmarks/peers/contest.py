"""What is compared: the data sets, the models, the search space and the contestants."""

from __future__ import annotations

from dataclasses import dataclass

DATA_SETS = ("tweets", "rotten-tomatoes")
SEEDS = (0, 1, 2)
TRIALS = 16
ROWS = 2000  # of a data set, validation and test among them
HELD_OUT = 0.15  # share of the rows that validation takes, and the share that the test takes
MAX_LENGTH = 128  # tokens; no row of either data set has as many
MODELS = {"bert-tiny": 2, "minilm-l6": 6}  # name of the asset: its blocks
SPACE = {"learning_rate": (1e-5, 1e-3), "batch_size": (8, 16, 32), "epochs": (1, 2, 3, 4)}
OURS = "autoft"
LONGER = "autoft-longer"
REFERENCE = "hf-optuna"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A way to search.

    Attributes:
        name: On screen, in file names and on the command line.
        runner: The script in `runners/` that runs it.
        summary: What it is, in one line.
        options: What its runner is told beside the job.
        environment: Name of its virtual environment, `requirements-NAME.txt`; None where it lives in autoft's.
        budgeted: It is given the wall clock that the reference took on the same rows and seed, and may try as many
            configurations in it as it can.
    """

    name: str
    runner: str
    summary: str
    options: tuple[tuple[str, str], ...] = ()
    environment: str | None = None
    budgeted: bool = False


CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant(OURS, "autoft_search", "autoft; of its finals only the soup, which trains nothing"),
        Contestant(
            REFERENCE,
            "hf_optuna",
            "Trainer.hyperparameter_search with optuna: TPE, every trial to its end",
            (("sampler", "tpe"), ("pruner", "none")),
        ),
        Contestant(
            "hf-optuna-median",
            "hf_optuna",
            "the same with the pruner that Optuna takes when none is given (the median of earlier trials)",
            (("sampler", "tpe"), ("pruner", "default")),
        ),
        Contestant(
            "hf-random",
            "hf_optuna",
            "random search on Trainer, every trial to its end",
            (("sampler", "random"), ("pruner", "none")),
        ),
        Contestant("hf-ray-asha", "hf_ray", "Trainer.hyperparameter_search with ray and ASHA, two trials at once"),
        Contestant(
            LONGER,
            "autoft_search",
            f"autoft, a quarter of {REFERENCE}'s wall clock instead of a number of configurations",
            (("share", "0.25"),),
            budgeted=True,
        ),
        Contestant(
            "autogluon-mm",
            "autogluon_multimodal",
            "AutoGluon-MultiModal: Bayesian search and ASHA on Ray Tune",
            environment="autogluon",
            budgeted=True,
        ),
        Contestant(
            "flaml", "flaml_search", "FLAML: cost-frugal search over Trainer", environment="flaml", budgeted=True
        ),
        Contestant(
            "autointent", "autointent_search", "AutoIntent: TPE over Trainer", environment="autointent", budgeted=True
        ),
    )
}
"""By name, in the order of the tables."""


def order(names: tuple[str, ...], turn: int) -> list[str]:
    """The contestants of one (data set, seed) in the order in which they run.

    Every other turn runs backwards, so that a machine that slows down with time favours nobody. Those that are
    given the reference's wall clock have to wait for it.
    """
    first = [name for name in names if not CONTESTANTS[name].budgeted]
    later = [name for name in names if CONTESTANTS[name].budgeted]
    return first + later if turn % 2 == 0 else first[::-1] + later[::-1]
