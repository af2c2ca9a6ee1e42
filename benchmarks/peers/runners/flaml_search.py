"""Runs FLAML's AutoML for `seq-classification` as its documentation shows it: CFO over Trainer, one at a time.

It freezes no blocks, so that knob stays out; the rest of the space is the benchmark's, the seed is not searched.
"""

import json
import time
from pathlib import Path

from eventlog import read_job, read_rows


def main():
    """Searches; FLAML hands back the best trial's model."""
    job, log = read_job()
    import pandas as pd
    from flaml import AutoML, tune

    def table(part):
        texts, labels = read_rows(job["data"][part])
        return pd.DataFrame({"text": texts}), pd.Series([job["labels"].index(label) for label in labels])

    space = job["space"]
    (train, train_labels), (validation, validation_labels) = table("train"), table("validation")
    history = Path(job["folder"]) / "flaml.log"
    search = AutoML()
    began = time.time()
    search.fit(
        X_train=train,
        y_train=train_labels,
        X_val=validation,
        y_val=validation_labels,
        task="seq-classification",
        metric="accuracy",
        time_budget=job["budget"],
        gpu_per_trial=0,
        seed=job["seed"] + 1,  # 0 is none
        log_file_name=str(history),
        log_type="all",
        custom_hp={
            "transformer": {
                "model_path": {"domain": tune.choice(list(job["models"].values()))},
                "learning_rate": {"domain": tune.loguniform(*space["learning_rate"]), "init_value": 2e-5},
                "num_train_epochs": {"domain": tune.choice(space["epochs"]), "init_value": 3},
                "per_device_train_batch_size": {"domain": tune.choice(space["batch_size"]), "init_value": 16},
                "seed": {"domain": job["seed"]},
            }
        },
        fit_kwargs_by_estimator={
            "transformer": {"output_dir": f"{job['folder']}/output", "max_seq_length": job["max_length"]}
        },
    )
    log.ready()
    records = map(json.loads, history.read_text(encoding="utf-8").splitlines())
    for trial in (record for record in records if "validation_loss" in record):
        log.evaluation(trial["record_id"], 1 - trial["validation_loss"], time=began + trial["wall_clock_time"])
    names = {path: name for name, path in job["models"].items()}
    best = search.best_config
    chosen = {
        "model": names[best["model_path"]],
        "learning_rate": best["learning_rate"],
        "batch_size": best["per_device_train_batch_size"],
        "epochs": best["num_train_epochs"],
    }
    log.winner(chosen, 1 - search.best_loss)
    log.predictions([job["labels"][int(label)] for label in search.predict(table("test")[0])])
    log.remark("no freeze depth in its space; a trial is evaluated once, at its end")
    log.versions("flaml", "torch", "transformers")


if __name__ == "__main__":
    main()
