"""The search itself: the ledger, the decisions, and Ray Tune, which carries them out.

ledger.py     the Optuna study that holds everything
halving.py    who goes on from a rung (pure)
sampling.py   the next configuration (pure)
core.py       which trial runs next, and when it is over (pure)
trainable.py  a trial on a Ray worker
adapters.py   Tune's Searcher and TrialScheduler around the core
driver.py     Ray's lifetime, the clock, the signals
"""
