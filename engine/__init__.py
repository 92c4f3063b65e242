"""The run: the loop, its optimisers and schedules, teachers, checkpoints, processes, progress."""
