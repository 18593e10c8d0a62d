"""The steps from a data set to a prepared one; each can be stopped, killed and run again on its own."""

from ffpp_prep.stages.boxes import detect_boxes
from ffpp_prep.stages.extract import extract_faces
from ffpp_prep.stages.fakes import check_fakes
from ffpp_prep.stages.landmarks import find_landmarks
from ffpp_prep.stages.scanning import scan

__all__ = ["check_fakes", "detect_boxes", "extract_faces", "find_landmarks", "scan"]
