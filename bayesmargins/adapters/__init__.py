"""Posteriors from elsewhere.

`arrays_of_draws` and `sources_of_draws` (files, objects of samplers), and a folder for each software that makes them.
"""

from bayesmargins.adapters.arrays_of_draws import from_draws
from bayesmargins.adapters.bambi.adapter import from_bambi
from bayesmargins.adapters.brms.adapter import from_brms
from bayesmargins.adapters.pymc.adapter import from_pymc
from bayesmargins.adapters.statsmodels.adapter import from_statsmodels

__all__ = ["from_bambi", "from_brms", "from_draws", "from_pymc", "from_statsmodels"]
