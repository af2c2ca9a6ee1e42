"""Runs AutoIntent over its `bert` scoring module: TPE over Trainer, one at a time.

It freezes no blocks, so that knob stays out; the rest of the space is the benchmark's. Of the training rows it sets a
fifth aside for early stopping, which is its default.
"""

from pathlib import Path

from eventlog import read_job, read_rows

MANY = 1000  # configurations: time bounds the search


def main():
    """Searches; AutoIntent hands back a pipeline."""
    job, log = read_job()
    import optuna
    from autointent import Dataset, Pipeline
    from autointent.configs import HPOConfig, LoggingConfig

    def rows(part):
        texts, labels = read_rows(job["data"][part])
        return [
            {"utterance": text, "label": job["labels"].index(label)} for text, label in zip(texts, labels, strict=True)
        ]

    space = job["space"]
    low, high = space["learning_rate"]
    scoring = {
        "module_name": "bert",
        "classification_model_config": list(job["models"].values()),
        "learning_rate": {"low": low, "high": high, "log": True},
        "batch_size": space["batch_size"],
        "num_train_epochs": space["epochs"],
        "seed": [job["seed"]],
    }
    pipeline = Pipeline.from_search_space(
        [
            {"node_type": "scoring", "target_metric": "scoring_accuracy", "search_space": [scoring]},
            {
                "node_type": "decision",
                "target_metric": "decision_accuracy",
                "search_space": [{"module_name": "argmax"}],
            },
        ],
        seed=job["seed"],
    )
    pipeline.set_config(HPOConfig(sampler="tpe", n_trials=MANY, timeout=job["budget"]))
    # With modules dumped the study is kept on disk, where each trial has its time.
    pipeline.set_config(LoggingConfig(project_dir=job["folder"], run_name="search", dump_modules=True))
    pipeline.fit(Dataset.from_dict({"train": rows("train"), "validation": rows("validation")}))
    log.ready()
    (kept,) = Path(job["folder"]).rglob("*.scoring.db")
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{kept}")
    done = [trial for trial in study.trials if trial.value is not None]
    for trial in done:
        log.evaluation(trial.number, trial.value, time=trial.datetime_complete.timestamp())
    best = study.best_trial
    names = {path: name for name, path in job["models"].items()}
    params = {key.removeprefix("bert_0_"): value for key, value in best.params.items()}
    chosen = {
        "model": names[params["classification_model_config"]],
        "learning_rate": params["learning_rate"],
        "batch_size": params["batch_size"],
        "epochs": params["num_train_epochs"],
        "trial": best.number,
    }
    log.winner(chosen, best.value)
    texts, _ = read_rows(job["data"]["test"])
    log.predictions([job["labels"][label] for label in pipeline.predict(texts)])
    log.remark("no freeze depth in its space; a fifth of the training rows goes to early stopping")
    log.versions("autointent", "torch", "transformers", "optuna")


if __name__ == "__main__":
    main()
