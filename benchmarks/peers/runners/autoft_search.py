"""Runs autoft through its Python API, its defaults but for what the finals train; what and how long is given."""

from eventlog import read_job, read_rows


def main():
    """Searches, then takes the evaluations from the ledger: each report there has its time."""
    job, log = read_job()
    import autoft

    space = job["space"]
    share = float(job["options"].get("share", 0))
    bound = {"budget": share * job["budget"]} if share else {"trials": job["trials"]}
    low, high = space["learning_rate"]
    result = autoft.search(
        task="text-classification",
        name="peers",
        data=job["data"],
        models=list(job["models"].values()),
        metric="accuracy",
        **bound,
        seed=job["seed"],
        space={
            "learning_rate": {"low": low, "high": high, "log": True},
            "batch_size": space["batch_size"],
            "epochs": {"low": min(space["epochs"]), "high": max(space["epochs"])},
            "freeze_depth": {"low": 0, "high": "all"},
            "dropout": None,  # the models' own, as with everybody else
            "max_length": job["max_length"],
        },
        # Nobody else trains the winner again with other seeds, nor a plain recipe; a soup trains nothing.
        finals={"repeats": 0, "plain": False},
        runs=job["folder"] + "/runs",
    )
    winner = result.report["winner"]
    if winner["entrant"] == "soup":  # the mean of some trials' weights, judged after them and before now
        log.evaluation(winner["trial"], winner["validation"])
    log.ready()
    for trial in result.trials:
        for report in trial.reports:
            log.evaluation(trial.number, report.value, time=report.time)
    names = {path: name for name, path in job["models"].items()}
    params = {key: winner["params"][key] for key in ("model", "learning_rate", "batch_size", "epochs", "freeze_depth")}
    log.winner({**params, "model": names[params["model"]], "trial": winner["trial"]}, winner["validation"])
    texts, _ = read_rows(job["data"]["test"])
    log.predictions([answer["label"] for answer in result.predict(texts)])
    log.versions("autoft", "torch", "transformers", "optuna", "ray")


if __name__ == "__main__":
    main()
