"""The data sets of the package: one entry each, everything about it in that entry.

Adding one is a CSV file here and an entry below. Where nothing is said to the contrary, the levels of a label stand in
the order of the R package that the file was taken from, so that reference levels agree with published analyses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

__all__ = ["CATALOGUE", "Dataset", "Derived"]


@dataclass(frozen=True)
class Derived:
    """A column computed on loading: how, and how that reads."""

    compute: Callable[[pd.DataFrame], pd.Series]
    text: str


@dataclass(frozen=True)
class Dataset:
    """One data set: its file, where it comes from, what its columns mean, and the levels of its labels.

    ``levels`` spells out the order of the levels of a label; ``numbered`` names the labels whose levels stand in
    natural order ("9" before "10"). ``columns`` explains every column of the file, in the file's order.
    """

    file: str
    rows: int
    title: str
    source: str
    columns: Mapping[str, str]
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numbered: tuple[str, ...] = ()
    derived: Mapping[str, Derived] = field(default_factory=dict)


def _is(column: str, *labels: str) -> Callable[[pd.DataFrame], pd.Series]:
    """1 where the column holds one of the labels, 0 elsewhere."""
    return lambda frame: frame[column].isin(labels).astype("int64")


# As spelled in the source, one of them with a small w.
# fmt: off
VERBAGG_ITEMS = (
    "S1WantCurse", "S1WantScold", "S1WantShout", "S2WantCurse", "S2WantScold", "S2WantShout",
    "S3WantCurse", "S3WantScold", "S3WantShout", "S4wantCurse", "S4WantScold", "S4WantShout",
    "S1DoCurse", "S1DoScold", "S1DoShout", "S2DoCurse", "S2DoScold", "S2DoShout",
    "S3DoCurse", "S3DoScold", "S3DoShout", "S4DoCurse", "S4DoScold", "S4DoShout",
)
# fmt: on

CATALOGUE: Mapping[str, Dataset] = {
    "bacteria": Dataset(
        file="bacteria.csv",
        rows=220,
        title="Was H. influenzae found in children with otitis media, by treatment and week; 50 children",
        source="A. Leach and J. Mackey, in Venables & Ripley (2002), Modern Applied Statistics with S; "
        "R package MASS, data set bacteria",
        columns={
            "y": "bacteria found: n or y",
            "ap": "a: active drug, p: placebo",
            "hilo": "hi: encouraged to take the treatment as prescribed, lo: not",
            "week": "week of the test: 0, 2, 4, 6 or 11",
            "ID": "child, X01 to Z26",
            "trt": "placebo, drug (ap = a, hilo = lo) or drug+ (ap = a, hilo = hi)",
        },
        levels={"y": ("n", "y"), "ap": ("a", "p"), "hilo": ("hi", "lo"), "trt": ("placebo", "drug", "drug+")},
        numbered=("ID",),
        derived={"yb": Derived(_is("y", "y"), "1 if y is y, else 0")},
    ),
    "toenail": Dataset(
        file="toenail.csv",
        rows=1908,
        title="Severity of a toenail infection under two oral treatments, up to 7 visits; 294 patients",
        source="De Backer, De Vroey, Lesaffre, Scheys & De Keyser (1998), Journal of the American Academy of "
        "Dermatology 38, S57-S63; R package HSAUR3, data set toenail",
        columns={
            "patientID": "patient, 1 to 383 with gaps",
            "outcome": "separation of the nail plate from the nail bed: none or mild, moderate or severe",
            "treatment": "itraconazole or terbinafine",
            "time": "time of the visit since randomisation, in months",
            "visit": "number of the visit, 1 to 7",
        },
        levels={
            "outcome": ("none or mild", "moderate or severe"),
            "treatment": ("itraconazole", "terbinafine"),
        },
        numbered=("patientID",),
        derived={"bad": Derived(_is("outcome", "moderate or severe"), "1 if outcome is moderate or severe, else 0")},
    ),
    "epilepsy": Dataset(
        file="epilepsy.csv",
        rows=236,
        title="Counts of epileptic seizures under placebo and progabide in four two-week periods; 59 patients",
        source="Thall & Vail (1990), Biometrics 46, 657-671; R package brms, data set epilepsy",
        columns={
            "Age": "age, in years",
            "Base": "seizures in the 8 weeks before treatment",
            "Trt": "0: placebo, 1: progabide",
            "patient": "patient, 1 to 59",
            "visit": "two-week period before the visit, 1 to 4",
            "count": "seizures in that period",
            "obs": "row, 1 to 236",
            "zAge": "Age, standardised",
            "zBase": "Base, standardised",
        },
        numbered=("Trt", "patient", "visit", "obs"),
    ),
    "epil": Dataset(
        file="epil.csv",
        rows=236,
        title="The seizure counts of epilepsy, in the form and with the covariates of MASS",
        source="Thall & Vail (1990), Biometrics 46, 657-671; R package MASS, data set epil",
        columns={
            "y": "seizures in the two-week period",
            "trt": "placebo or progabide",
            "base": "seizures in the 8 weeks before treatment",
            "age": "age, in years",
            "V4": "1 in period 4, else 0",
            "subject": "patient, 1 to 59",
            "period": "two-week period, 1 to 4",
            "lbase": "natural logarithm of base, centred at 0",
            "lage": "natural logarithm of age, centred at 0",
        },
        levels={"trt": ("placebo", "progabide")},
        numbered=("subject",),
        derived={"per": Derived(lambda frame: frame["period"] - 2.5, "period - 2.5, so that 0 is mid-study")},
    ),
    "sleepstudy": Dataset(
        file="sleepstudy.csv",
        rows=180,
        title="Reaction time over ten days of restricted sleep; 18 subjects",
        source="Belenky et al. (2003), Journal of Sleep Research 12, 1-12; R package lme4, data set sleepstudy",
        columns={
            "Reaction": "average reaction time of the day, in milliseconds",
            "Days": "day of the study, 0 to 9",
            "Subject": "subject, 308 to 372 with gaps",
        },
        numbered=("Subject",),
    ),
    "cbpp": Dataset(
        file="cbpp.csv",
        rows=56,
        title="New cases of contagious bovine pleuropneumonia in four periods; 15 herds in Ethiopia",
        source="Lesnoff et al. (2004), Preventive Veterinary Medicine 64, 27-40; R package lme4, data set cbpp",
        columns={
            "herd": "herd, 1 to 15",
            "incidence": "new cases in the herd during the period",
            "size": "animals in the herd at the start of the period",
            "period": "period, 1 to 4",
        },
        numbered=("herd", "period"),
    ),
    "cbpp_brms": Dataset(
        file="cbpp_brms.csv",
        rows=200,
        title="Draws of brms for the cbpp data: incidence | trials(size) ~ period + (1 | herd), binomial; 4 chains",
        source="as_draws_df of a fit by brms 2.18, priors normal(0, 2.5) for b, normal(0, 5) for Intercept, "
        "normal(0, 2) for sd; 200 of its 4,000 draws, rounded to six decimals",
        columns={
            "b_Intercept": "log odds of a new case in period 1, in a herd at b = 0",
            **{f"b_period{k}": f"period {k} against period 1, in log odds" for k in (2, 3, 4)},
            "sd_herd__Intercept": "standard deviation of herds, in log odds",
            **{f"r_herd[{k},Intercept]": f"herd {k}'s own effect, in log odds" for k in range(1, 16)},
            "lprior": "log density of the prior",
            "lp__": "log density of the posterior, up to a constant",
            ".chain": "chain, 1 to 4",
            ".iteration": "draw within the chain, of 1,000",
            ".draw": "draw, of 4,000",
        },
    ),
    "contraception": Dataset(
        file="contraception.csv",
        rows=1934,
        title="Use of contraception by women in Bangladesh, 1988; 60 districts",
        source="Huq & Cleland (1990), Bangladesh Fertility Survey 1989, NIPORT, Dhaka; R package mlmRev, data set "
        "Contraception",
        columns={
            "woman": "woman, 1 to 1934",
            "district": "district, 1 to 61 without 54",
            "use": "uses contraception: N or Y",
            "livch": "living children: 0, 1, 2 or 3+",
            "age": "age at the survey, in years, centred at its mean",
            "urban": "lives in an urban area: N or Y",
        },
        levels={"use": ("N", "Y"), "livch": ("0", "1", "2", "3+"), "urban": ("N", "Y")},
        numbered=("woman", "district"),
        derived={
            "age10": Derived(lambda frame: frame["age"] / 10, "age / 10, in decades"),
            "use01": Derived(_is("use", "Y"), "1 if use is Y, else 0"),
        },
    ),
    "inhaler": Dataset(
        file="inhaler.csv",
        rows=572,
        title="How clear are the instructions of two inhalers, rated in a two-period crossover trial; 286 patients",
        source="Ezzet & Whitehead (1991), Statistics in Medicine 10, 901-907; R package brms, data set inhaler",
        columns={
            "subject": "patient, 1 to 286",
            "rating": "clarity of the instructions, 1 (easy) to 4 (confusing)",
            "treat": "contrast of the two inhalers, -0.5 or 0.5",
            "period": "contrast of the two periods, -0.5 or 0.5",
            "carry": "contrast for a carry-over from the first period, -1, 0 or 1",
        },
        numbered=("subject",),
    ),
    "kidney": Dataset(
        file="kidney.csv",
        rows=76,
        title="Times to infection at the point of insertion of a catheter, twice for each of 38 kidney patients",
        source="McGilchrist & Aisbett (1991), Biometrics 47, 461-466; R package brms, data set kidney",
        columns={
            "patient": "patient, 1 to 38",
            "time": "days to the infection, or until the catheter was removed for another reason",
            "censored": "1: removed for another reason, so that the infection would have come later; 0: infected",
            "age": "age, in years",
            "sex": "female or male",
        },
        levels={"sex": ("male", "female")},
        numbered=("patient",),
    ),
    "grouseticks": Dataset(
        file="grouseticks.csv",
        rows=403,
        title="Ticks on the heads of red grouse chicks; 118 broods at 63 locations, three years",
        source="Elston, Moss, Boulinier, Arrowsmith & Lambin (2001), Parasitology 122, 563-569; R package lme4, data "
        "set grouseticks",
        columns={
            "INDEX": "chick, 1 to 403",
            "TICKS": "ticks on the chick",
            "BROOD": "brood, 501 to 743 with gaps",
            "HEIGHT": "height above sea level, in metres",
            "YEAR": "95, 96 or 97 (19..)",
            "LOCATION": "location, 1 to 63",
            "cHEIGHT": "HEIGHT, centred at its mean, in metres",
        },
        numbered=("INDEX", "BROOD", "YEAR", "LOCATION"),
        derived={"cH10": Derived(lambda frame: frame["cHEIGHT"] / 10, "cHEIGHT / 10, in tens of metres")},
    ),
    "verbagg": Dataset(
        file="verbagg.csv",
        rows=7584,
        title="Would one curse, scold or shout in an annoying situation; 316 persons answering 24 items",
        source="Vansteelandt (2000), Formal models for contextualized personality psychology, K. U. Leuven; in De "
        "Boeck & Wilson (2004), Explanatory Item Response Models; R package lme4, data set VerbAgg",
        columns={
            "Anger": "trait anger score of the person",
            "Gender": "F or M",
            "item": "item: situation (S1 to S4), want or do, behaviour; spelled as in the source",
            "resp": "answer: no, perhaps or yes",
            "id": "person, 1 to 316",
            "btype": "behaviour: curse, scold or shout",
            "situ": "who is to blame for the situation: other or self",
            "mode": "want to do it, or do it",
            "r2": "N if resp is no, Y if it is perhaps or yes",
        },
        levels={
            "Gender": ("F", "M"),
            "item": VERBAGG_ITEMS,
            "resp": ("no", "perhaps", "yes"),
            "btype": ("curse", "scold", "shout"),
            "situ": ("other", "self"),
            "mode": ("want", "do"),
            "r2": ("N", "Y"),
        },
        numbered=("id",),
        derived={"yes": Derived(_is("r2", "Y"), "1 if r2 is Y, else 0")},
    ),
}
