"""Benchmark `peers`: autoft against what people use now, on the same rows, models, space and cores.

python -m benchmarks.peers                                  everything that is not measured yet, then the figures
python -m benchmarks.peers --data-sets tweets --seeds 0     a part of it
python -m benchmarks.peers --contestants autoft hf-optuna   some contestants only
python -m benchmarks.peers --figures                        the figures of what was measured so far

contest.py        what is compared: data sets, models, space, contestants
material.py       the rows of each (data set, seed), written once for all contestants
environments.py   a virtual environment for each contestant that can't live in autoft's
running.py        one contestant in a process of its own, from its start to its model
runs.py           what is kept of it: one small JSON file
figures.py        the arithmetic, and nothing else
report.py         tables and plot
runners/          what runs in that process: a script for each contestant, with its own libraries only
"""
