"""The ground that every room stands on: the one place that writes files and folders."""
