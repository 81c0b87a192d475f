"""The meta-learned part: tasks, inner loop, scorer, base model, meta-training."""
