"""Reports: one page on an analysis, for a colleague.

`page` puts the sections together. Each section is a room (`about_data`, `about_model`, ..., `paper`, `script`) that
returns `page_blocks`; `html` and `markdown` write the same blocks. `effects_asked` computes effects once, `wording`
takes numbers of sentences from the same summaries as the tables.
"""

from bayesmargins.reporting.page import report

__all__ = ["report"]
