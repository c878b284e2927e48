"""How wide are Bambi's averaged intervals next to those of the averages? The table of docs/fits_of_bambi.md.

Run: ``python benchmarks/bambi_intervals.py``. Nothing is timed. One fit of Bambi to the package's bacteria data, then
the same three averages of the same draws from both: Bambi averages the limits of the rows' intervals, here rows are
averaged within each draw. Both take each row with its own group's b, and equal-tailed 89 % intervals.
"""

from __future__ import annotations

import bambi
import pandas as pd

import bayesmargins as bm

LIMITS = ["eti89_lb", "eti89_ub"]
# What averages over all rows is called True in Bambi 0.17, "all" in 0.21.
ALL = "all" if hasattr(bambi.Model, "response_term") else True


def fitted() -> tuple[bambi.Model, object]:
    """A logistic mixed model of the bacteria data; 4 chains of 1,000 draws."""
    model = bambi.Model("yb ~ trt + week + (1|ID)", bm.load_dataset("bacteria"), family="bernoulli")
    return model, model.fit(inference_method="nutpie", chains=4, random_seed=1, progressbar=False)


def of_bambi(result: object) -> pd.DataFrame:
    """Estimate and limits, whichever names this version gives them."""
    frame = getattr(result, "summary", result)
    limits = [c for c in frame if c.startswith(("lower", "upper"))]
    return frame[["estimate", *limits]].set_axis(["estimate", "low", "high"], axis=1).reset_index(drop=True)


def here(result: object) -> pd.DataFrame:
    """Mean over draws, as Bambi reports it, and limits."""
    table = bm.summary(result, point="mean", ci_prob=0.89, ci_kind="eti")
    return table[["mean", *LIMITS]].set_axis(["estimate", "low", "high"], axis=1).reset_index(drop=True)


def main() -> None:
    """Print the table."""
    model, idata = fitted()
    post = bm.from_bambi(model, idata)
    options = {"prob": 0.89, "use_hdi": False}
    interpret = bambi.interpret
    average = interpret.comparisons(model, idata, contrast={"week": [0, 6]}, average_by=ALL, **options)
    by_arm = interpret.predictions(model, idata, average_by="trt", **options)
    levels = [str(level) for level in getattr(by_arm, "summary", by_arm)["trt"]]  # in Bambi's order
    weeks = {"week": (0, 6)}
    theirs = pd.concat([of_bambi(average), of_bambi(by_arm)], ignore_index=True)
    ours = pd.concat(
        [
            here(bm.avg_comparisons(post, weeks, groups="own")),
            here(bm.avg_predictions(post, by="trt", groups="own").sel(trt=levels)),
        ],
        ignore_index=True,
    )
    new = pd.concat(
        [here(bm.avg_comparisons(post, weeks)), here(bm.avg_predictions(post, by="trt").sel(trt=levels))],
        ignore_index=True,
    )
    names = ["week 6 - week 0", *(f"P(yb) by trt: {level}" for level in levels)]
    table = theirs.join(ours, rsuffix="_own").join(new, rsuffix="_new").set_axis(names, axis=0)
    table["width_ratio"] = (table["high"] - table["low"]) / (table["high_own"] - table["low_own"])
    print(f"Bambi {bambi.__version__}; divergences {post.info['divergences']}, max r-hat {post.info['max_rhat']:.3f}")
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
