"""Small real data sets of mixed-model textbooks, with their columns explained and their sources."""

from bayesmargins.datasets.reader import list_datasets, load_dataset

__all__ = ["list_datasets", "load_dataset"]
