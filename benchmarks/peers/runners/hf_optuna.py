"""Runs `Trainer.hyperparameter_search(backend="optuna")` as its documentation shows it, all cores to one trial."""

from eventlog import read_job


def main():
    """Searches; the winner's model is its last checkpoint, which `Trainer` leaves with its defaults."""
    job, log = read_job()
    import hf_common
    import optuna
    from transformers import Trainer

    space, blocks = job["space"], job["blocks"]
    tokenizer = hf_common.tokenizer_of(job)
    parts = hf_common.data_sets(job, tokenizer)
    number = 0

    def model_init(trial):
        # Trainer builds the model before it asks hp_space, so what the model hangs on is drawn here.
        nonlocal number
        if trial is None:  # Trainer builds one for itself when it is made
            return hf_common.build(job, next(iter(job["models"])), 0)
        number = trial.number
        name = trial.suggest_categorical("model", list(job["models"]))
        return hf_common.build(job, name, trial.suggest_int(f"freeze_depth_{name}", 0, blocks[name]))

    def hp_space(trial):
        low, high = space["learning_rate"]
        return {
            "learning_rate": trial.suggest_float("learning_rate", low, high, log=True),
            "per_device_train_batch_size": trial.suggest_categorical("batch_size", space["batch_size"]),
            "num_train_epochs": trial.suggest_int("epochs", min(space["epochs"]), max(space["epochs"])),
        }

    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    pruners = {"none": optuna.pruners.NopPruner(), "default": None}
    trainer = Trainer(
        model_init=model_init,
        args=hf_common.arguments(job),
        train_dataset=parts["train"],
        eval_dataset=parts["validation"],
        processing_class=tokenizer,
        compute_metrics=hf_common.accuracy,
        callbacks=[hf_common.Noting(log, lambda: number)],
    )
    best = trainer.hyperparameter_search(
        hp_space=hp_space,
        compute_objective=lambda metrics: metrics["eval_accuracy"],
        n_trials=job["trials"],
        direction="maximize",
        backend="optuna",
        sampler=samplers[job["options"]["sampler"]](seed=job["seed"]),
        pruner=pruners[job["options"]["pruner"]],
    )
    model = hf_common.load(job, best.run_id)
    log.ready()
    chosen = dict(best.hyperparameters)
    chosen["freeze_depth"] = chosen.pop(f"freeze_depth_{chosen['model']}")
    log.winner({**chosen, "trial": int(best.run_id)}, best.objective)
    log.predictions(hf_common.predictions(job, model, tokenizer, parts["test"]))
    log.versions("torch", "transformers", "optuna", "datasets")


if __name__ == "__main__":
    main()
