"""Draws from a density of a few dimensions that is known up to a constant: independent proposals, corrected exactly.

Downward: `independent` (chains) on `adaptation` (the proposal) on `modes` (where it begins) and `proposal_mixtures`
(Student-t mixtures). None knows a model: a density is a function of points (draw, entry), which may use threads.
"""

from bayesmargins.sampler.independent import Chains, sample

__all__ = ["Chains", "sample"]
