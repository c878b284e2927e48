"""Fitting: `glmm` (the model a user holds) on `build` (PyMC), `priors` and `sampling`."""

from bayesmargins.model.glmm import GLMM
from bayesmargins.model.many_fits import fit_many

__all__ = ["GLMM", "fit_many"]
