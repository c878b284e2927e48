"""Does the posterior hold: for groups that it has not seen, and under other weights of prior and likelihood?"""

from bayesmargins.validation.logo import logo
from bayesmargins.validation.sensitivity import sensitivity

__all__ = ["logo", "sensitivity"]
