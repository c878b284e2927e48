"""Fitting: `glmm` (the model a user holds) on `build` (PyMC), `priors` and `sampling`."""

from bayesmargins.model.glmm import GLMM

__all__ = ["GLMM"]
