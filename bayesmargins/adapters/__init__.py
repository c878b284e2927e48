"""Posteriors from elsewhere: plain arrays of draws, and draws as other software names them."""

from bayesmargins.adapters.bambi import from_bambi
from bayesmargins.adapters.brms import from_brms
from bayesmargins.adapters.draws import from_draws
from bayesmargins.adapters.pymc import from_pymc
from bayesmargins.adapters.statsmodels import from_statsmodels

__all__ = ["from_bambi", "from_brms", "from_draws", "from_pymc", "from_statsmodels"]
