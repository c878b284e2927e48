"""Fitting: `glmm` (the model a user holds) on `build` (PyMC), `priors` and `sampling`."""

from bayesmargins.model.glmm import GLMM
from bayesmargins.model.imputed_fits import fit_imputations
from bayesmargins.model.many_fits import fit_many

__all__ = ["GLMM", "fit_imputations", "fit_many"]
