"""Benchmarks and a model in; pass rates by execution, with intervals, paired, out."""
