"""Does the posterior hold: for its own rows, for groups not seen, and under other weights of prior and likelihood?"""

from bayesmargins.validation.check import check
from bayesmargins.validation.logo import logo
from bayesmargins.validation.sensitivity import sensitivity

__all__ = ["check", "logo", "sensitivity"]
