"""Crops for other programs: webdataset's tars, a folder of PNG, DeepfakeBench's frames, Hugging Face's Parquet."""

from ffpp_prep.exports.make import ExportSummary, export_crops

__all__ = ["ExportSummary", "export_crops"]
