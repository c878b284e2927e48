"""The version, read by the package, its results' provenance and its files."""

__version__ = "0.1.0.dev0"
