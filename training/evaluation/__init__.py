"""Metrics of results against ground truth, as the benchmarks define them."""
