"""Runs `Trainer.hyperparameter_search(backend="ray")` with ASHA, a core to each of two trials."""

import time

from eventlog import read_job


def main():
    """Searches; the winner's model is its last checkpoint, where it was trained to its end."""
    job, log = read_job()
    import hf_common
    import numpy as np
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from transformers import Trainer

    space, blocks = job["space"], job["blocks"]
    tokenizer = hf_common.tokenizer_of(job)
    parts = hf_common.data_sets(job, tokenizer)

    def model_init(config):
        if config is None:  # Trainer builds one for itself when it is made
            return hf_common.build(job, next(iter(job["models"])), 0)
        return hf_common.build(job, config["model"], config["freeze_depth"])

    def hp_space(_):
        low, high = space["learning_rate"]
        random = np.random.RandomState(job["seed"])
        return {
            "model": tune.choice(list(job["models"])),
            "freeze_depth": tune.sample_from(lambda spec: int(random.randint(blocks[spec.config["model"]] + 1))),
            "learning_rate": tune.loguniform(low, high),
            "per_device_train_batch_size": tune.choice(space["batch_size"]),
            "num_train_epochs": tune.choice(space["epochs"]),
        }

    ray.init(num_cpus=job["cores"], include_dashboard=False)
    np.random.seed(job["seed"])  # Tune draws from numpy's global generator unless a search algorithm is given
    trainer = Trainer(
        model_init=model_init,
        args=hf_common.arguments(job),
        train_dataset=parts["train"],
        eval_dataset=parts["validation"],
        processing_class=tokenizer,
        compute_metrics=hf_common.accuracy,
        callbacks=[hf_common.Noting(log, lambda: tune.get_context().get_trial_id())],
    )
    best = trainer.hyperparameter_search(
        hp_space=hp_space,
        compute_objective=lambda metrics: metrics["eval_accuracy"],
        n_trials=job["trials"],
        direction="maximize",
        backend="ray",
        scheduler=ASHAScheduler(metric="objective", mode="max", max_t=max(space["epochs"]), grace_period=1),
        resources_per_trial={"cpu": 1},
        storage_path=f"{job['folder']}/ray",
        name="peers",
    )
    chosen = dict(best.hyperparameters)
    chosen["batch_size"] = chosen.pop("per_device_train_batch_size")
    chosen["epochs"] = chosen.pop("num_train_epochs")
    model = hf_common.load(job, best.run_id)
    if model is None:
        log.remark("ASHA stopped the trial that it then named the best, so that its model had to be trained anew")
        began = time.time()
        model = hf_common.train(job, parts, tokenizer, chosen)
        log.write("retrain", seconds=time.time() - began)
    log.ready()
    log.winner({**chosen, "trial": best.run_id}, best.objective)
    log.predictions(hf_common.predictions(job, model, tokenizer, parts["test"]))
    log.versions("torch", "transformers", "ray", "datasets")


if __name__ == "__main__":
    main()
