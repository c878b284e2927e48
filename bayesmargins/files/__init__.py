"""Files of posteriors: written whole or not at all, read only where they are as they were written.

Downward: `opening` (a path to what lies there) on `file_layout` (what a posterior's file holds, and where) and
`format_1` (the same of the first format, which had no seal) on `contents` (what both give), `tables` (data frames, kept
to the letter) and `netcdf` (groups to bytes, and back where the walls hold) on `disk` (bytes under a seal).
"""

from bayesmargins.files.contents import Contents, Predictor, positions, refuse_another_design
from bayesmargins.files.disk import check_place, file_name, put, write_bytes
from bayesmargins.files.file_layout import laid_out
from bayesmargins.files.netcdf import to_netcdf
from bayesmargins.files.opening import read_contents, readable

__all__ = [
    "Contents",
    "Predictor",
    "check_place",
    "file_name",
    "laid_out",
    "positions",
    "put",
    "read_contents",
    "readable",
    "refuse_another_design",
    "to_netcdf",
    "write_bytes",
]
