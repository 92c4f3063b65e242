"""What is measured of answers, each metric once and held to an independent reference: no files, no models."""
