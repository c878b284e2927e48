"""Fits of statsmodels' MixedLM: `adapter` (from_statsmodels) on `asymptotic` (draws with exact moments)."""
