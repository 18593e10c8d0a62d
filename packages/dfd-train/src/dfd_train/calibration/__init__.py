"""What a model's numbers are worth, learned on its validation videos: `learned` how, `kept` in a run's folder."""
