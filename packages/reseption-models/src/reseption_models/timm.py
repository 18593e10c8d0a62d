"""Importing this module makes the networks known to timm, for programs that import modules by name."""

from .timm_models import register_timm

register_timm()
