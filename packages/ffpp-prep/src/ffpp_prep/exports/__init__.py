"""Crops for other programs: webdataset's tars, a folder of PNG, DeepfakeBench's frames, Hugging Face's Parquet."""

from ffpp_prep.exports.make import ExportSummary, export_crops
from ffpp_prep.exports.settings import FORMATS, ExportSettings

__all__ = ["FORMATS", "ExportSettings", "ExportSummary", "export_crops"]
