"""Benchmarks: `make bench NAME=engine` (peers, overhead, cost, simulation) runs one and writes `benchmarks/results`."""
