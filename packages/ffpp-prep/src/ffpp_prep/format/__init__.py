"""The prepared data set on disk: geometry, frame formulas, codecs, tables, checksums and whole-file writing."""
