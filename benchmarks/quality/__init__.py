"""Model quality: tasks with a locked split, baselines in the same process, and our model as users run it."""
