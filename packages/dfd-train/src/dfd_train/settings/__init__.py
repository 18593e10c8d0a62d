"""What a run is told: sections of settings, their TOML files and presets, names that were probably meant."""
