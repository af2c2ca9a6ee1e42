"""Runs AutoGluon-MultiModal's hyperparameter search (Ray Tune, ASHA, Bayesian) as its tutorial shows it.

It freezes no blocks of a text model, so that knob stays out; the rest of the space is the benchmark's.
"""

import json
import time
from pathlib import Path

import torchvision_without_operators
from eventlog import read_job, read_rows

MODEL, RATE, EPOCHS, BATCH = "model.hf_text.checkpoint_name", "optim.lr", "optim.max_epochs", "env.batch_size"


def main():
    """Searches; AutoGluon hands back a model that is the average of the winner's best checkpoints."""
    job, log = read_job()
    torchvision_without_operators.make_importable()
    import pandas as pd
    import ray
    from autogluon.core.hpo import ray_hpo
    from autogluon.multimodal import MultiModalPredictor
    from ray import tune

    def table(part):
        texts, labels = read_rows(job["data"][part])
        return pd.DataFrame({"text": texts, "label": labels})

    found = {}
    clean = ray_hpo.cleanup_trials

    def note_and_clean(folder, best):
        # AutoGluon deletes every trial but the best when it is done; what Tune wrote of them is read before.
        for path in sorted(Path(folder).glob("*/result.json")):
            for line in path.read_text(encoding="utf-8").splitlines():
                report = json.loads(line)
                log.evaluation(report["trial_id"], report["val_accuracy"], time=report["timestamp"])
                if report["trial_id"] == best:
                    found.update({key: report["config"][key] for key in (MODEL, RATE, EPOCHS, BATCH)}, trial=best)
        clean(folder, best)

    ray_hpo.cleanup_trials = note_and_clean
    # As AutoGluon would start it, but for the dashboard, and for the hook, which every worker needs.
    ray.init(
        num_cpus=job["cores"],
        num_gpus=0,
        log_to_driver=False,
        include_dashboard=False,
        runtime_env={
            "env_vars": {"PL_DISABLE_FORK": "1", "PYTHONPATH": str(Path(__file__).parent)},
            "worker_process_setup_hook": "torchvision_without_operators.make_importable",
        },
    )

    def fit(folder, hyperparameters, **more):
        predictor = MultiModalPredictor(label="label", eval_metric="accuracy", path=f"{job['folder']}/{folder}")
        fixed = {"model.names": ["hf_text"], "model.hf_text.max_text_len": job["max_length"]}
        predictor.fit(
            table("train"),
            tuning_data=table("validation"),
            hyperparameters={**fixed, **hyperparameters},
            seed=job["seed"],
            **more,
        )
        return predictor

    space = job["space"]
    try:
        predictor = fit(
            "search",
            {
                MODEL: tune.choice(list(job["models"].values())),
                RATE: tune.loguniform(*space["learning_rate"]),
                EPOCHS: tune.choice(space["epochs"]),
                BATCH: tune.choice(space["batch_size"]),
            },
            hyperparameter_tune_kwargs={"searcher": "bayes", "scheduler": "ASHA"},
            time_limit=job["budget"],
        )
    except FileNotFoundError as error:
        # Seen where the best trial is still training when time is up: AutoGluon then misses files of it that it
        # only writes at a trial's end, and fails. A user can train that configuration anew.
        if not found:
            raise
        log.remark(f"fails when time is up during its best trial ({Path(error.filename).name} missing); trained anew")
        began = time.time()
        predictor = fit("again", {key: found[key] for key in (MODEL, RATE, EPOCHS, BATCH)})
        log.write("retrain", seconds=time.time() - began)
    log.ready()
    names = {path: name for name, path in job["models"].items()}
    chosen = {"model": names[found[MODEL]], "learning_rate": found[RATE], "batch_size": found[BATCH]}
    chosen |= {"epochs": found[EPOCHS], "trial": found["trial"]}
    log.winner(chosen, predictor.evaluate(table("validation"))["accuracy"])
    log.predictions(predictor.predict(table("test")[["text"]]))
    log.remark("no freeze depth in its space for text models; layer-wise learning-rate decay and a soup by default")
    log.versions("autogluon.multimodal", "torch", "transformers", "ray", "lightning")


if __name__ == "__main__":
    main()
